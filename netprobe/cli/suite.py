"""`netprobe simulate SUITE`: what the suite declares against what its policies say, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netprobe.cli.manifests import read_cluster
from netprobe.diff import Counts, Row, Status, compare
from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, Protocol
from netprobe.model.verdict import Verdict
from netprobe.run.moment import moments
from netprobe.run.record import Step
from netprobe.run.steps import explained
from netprobe.simulate import Profile
from netprobe.suite import Suite, load
from netprobe.survey import ask


def suite_and_live(path: str, filenames: Sequence[str]) -> tuple[Suite, Cluster | None]:
    """The suite, and the cluster that the manifests describe; None where the suite has a topology."""
    suite = load(path)
    if suite.topology is None and not filenames:
        raise UsageError(f"{path} has no topology of its own: name the cluster's manifests by -f")
    if suite.topology is not None and filenames:
        raise UsageError(f"{path} has a topology of its own: -f is for suites without one")
    return suite, read_cluster(filenames) if filenames else None


def suite_and_cluster(path: str, filenames: Sequence[str], steps: int = 0) -> tuple[Suite, Cluster]:
    """The suite, and its cluster after its policies and that many steps."""
    suite, live = suite_and_live(path, filenames)
    return suite, suite.cluster(live, steps)


def simulated(
    suite: Suite,
    live: Cluster | None,
    profile: Profile,
    *,
    sources: Sequence[str] = (),
    destinations: Sequence[str] = (),
    ports: Sequence[tuple[int, Protocol]] = (),
    changed_only: bool = False,
) -> tuple[Step, ...]:
    """The comparison at each moment of a suite. With `changed_only` what policies or a step change."""
    cluster = suite.cluster(live)
    asked = ask(cluster, sources=sources, destinations=destinations, externals=suite.externals, ports=ports)
    asked_sources, asked_destinations = frozenset(asked.sources), frozenset(asked.destinations)

    def is_asked(flow: Flow) -> bool:
        return (
            (not sources or flow.source in asked_sources)
            and (not destinations or flow.destination in asked_destinations)
            and (not ports or (flow.port, flow.protocol) in ports)
        )

    steps: list[Step] = []
    before: Iterable[Row] = ()
    for index, at in enumerate(moments(suite, live, profile, is_asked)):
        rows = compare(at.declared, at.simulated, step=index)
        shown = _changed(rows, before, first=index == 0) if changed_only else rows
        told = explained(shown, at.simulator, at.declared_by)
        steps.append(Step(at.name, told, Counts.of(told)))
        before = rows
    return tuple(steps)


def _changed(rows: Iterable[Row], before: Iterable[Row], *, first: bool) -> list[Row]:
    """Without policies everything passes; later, a flow was as the step before left it."""
    earlier = {row.flow: row.result for row in before}
    return [
        row
        for row in rows
        if row.status is not Status.AS_EXPECTED
        or row.result is not (Verdict.ALLOW if first else earlier.get(row.flow, Verdict.ALLOW))
    ]
