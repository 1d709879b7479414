"""`--dry-run`: everything that a run in place would create, as YAML that a reviewer can read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import yaml

from netprobe.probe import PodOptions, lease
from netprobe.probe.guests import shadows
from netprobe.run.visit import Rehearsed


def rehearsal(found: Rehearsed, pods: PodOptions) -> Iterator[str]:
    """The text, piece by piece: who would see the guests and what the report would note as comments, then
    each object in the order of its creation. The run's id and the Jobs' uids are made anew by each run."""
    here, run = found.scene, found.run
    made = shadows.objects(here.party, run, pods)
    yield f"# {here.cover.told([*here.simulated.sources(), *here.simulated.destinations()])}\n"
    yield f"# {len(here.simulated)} flows; {len(made.pods)} pods on {len(here.party.nodes)} nodes\n"
    for one in found.seen_by:
        yield f"# {'HARM' if one.harmful else 'seen by'}: {one}\n"
    yield from (f"# note: {note}\n" for note in found.notes)
    objects = [made.namespace, lease.lease(run, datetime.now(UTC)), *made.owners, made.policy, *made.pods]
    yield (
        "# Later the policy canary opens port 9001, to a label that the run's own namespace gets, and the\n"
        "# Lease is renewed. Nothing else is changed, and all of it is removed at the end.\n"
    )
    for obj in objects:
        yield "---\n" + str(yaml.safe_dump(obj, sort_keys=False, width=110, allow_unicode=False))
