"""`--dry-run`: everything that an in-place run would create, as YAML that a reviewer can read.

What the report would note comes first, as comments; then each object in the order of its creation. Each run
has a new id, and its Jobs have new uids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from netprobe.model.flow import Pod
from netprobe.model.objects import Object
from netprobe.probe import PodOptions, canary, guest_workbench, lease, run_objects
from netprobe.probe.conflicts import SideEffect
from netprobe.probe.ownership import ObjectRef, Record
from netprobe.run.copied import Copied
from netprobe.run.in_place_plan import InPlacePlan


def preview_in_place(
    plan: InPlacePlan, run: str, pods: PodOptions, seen_by: Iterable[SideEffect], notes: Iterable[str]
) -> Iterator[str]:
    """The shadow pods of a run in place, and who would notice them."""
    made = guest_workbench.guest_objects(plan.guests, run, pods)
    yield f"# {plan.cover.sentence(plan.ends)}\n"
    yield f"# {len(plan.simulated)} flows; {len(made.pods)} pods on {len(plan.guests.nodes)} nodes\n"
    for one in seen_by:
        yield f"# {'HARM' if one.harmful else 'seen by'}: {one}\n"
    yield from (f"# note: {note}\n" for note in notes)
    yield (
        "# Later the policy canary opens port 9001, to a label that the run's own namespace gets, and the\n"
        "# Lease is renewed. Nothing else is changed, and all of it is removed at the end.\n"
    )
    record = Record(run)
    guests = (obj for obj in (*made.owners, *made.pods))
    record.refs |= {ref for obj in guests if not record.covers(ref := ObjectRef.of(obj))}
    yield from _yaml(
        [
            lease.home(record),
            lease.lease(record),
            *map(record.mark, (*made.owners, made.policy, *made.pods)),
        ]
    )


def preview_copy(
    copied: Copied, run: str, options: PodOptions, summary: str, notes: Iterable[str]
) -> Iterator[str]:
    """The namespaces, pods and policies of a run in a copy."""
    pods: list[Pod] = list(copied.pods.values())
    nodes = sorted({pod.node for pod in pods if pod.node})
    home = run_objects.run_namespace(run)
    yield f"# {summary}\n"
    record = Record(run)
    yield f"# and a Lease in {home}, renewed while the run lives\n"
    yield from (f"# note: {note}\n" for note in notes)
    objects = [lease.home(record)]
    objects += [run_objects.namespace(one.name, run, one.labels) for one in copied.namespaces]
    objects += [
        run_objects.pod(pod.ref, run, options, labels=pod.labels, ports=pod.ports, node=pod.node)
        for pod in pods
    ]
    for index, node in enumerate(nodes):
        objects += canary.pods(home, run, node, index, options)
    objects += [canary.policy(home, run, 0), *copied.manifests]
    yield from _yaml(map(record.mark, objects))


def _yaml(objects: Iterable[Object]) -> Iterator[str]:
    for obj in objects:
        yield "---\n" + str(yaml.safe_dump(obj, sort_keys=False, width=110, allow_unicode=False))
