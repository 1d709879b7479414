"""Prober and workbench together, on the scripted cluster, in time that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from netprobe.errors import ClusterError, NotFoundError
from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, External, Flow, Pod, PodRef, Protocol
from netprobe.model.observation import Control, Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe import Fixture, Observed, OutsideHost, Pace, Prober, Workbench, judge
from netprobe.probe.canary import OPENING
from netprobe.probe.pace import Method
from tests.probe.clock import now, virtually
from tests.probe.fake import OPEN, REFUSED, SILENT, FakeCluster

UDP = Protocol.UDP
PORTS = (ContainerPort(80), ContainerPort(53, UDP))
A, B = PodRef("x", "a"), PodRef("y", "b")
PODS = tuple(Pod(ref, {"app": ref.name}, ports=PORTS) for ref in (A, B))
FIXTURE = Fixture((Namespace("x", {}), Namespace("y", {})), PODS)
FLOWS = tuple(
    Flow(s, d, port, p) for s in (A, B) for d in (A, B) for port, p in ((80, Protocol.TCP), (53, UDP))
)
A_TO_B, B_TO_A = Flow(A, B, 80), Flow(B, A, 80)


@dataclass
class World:
    """A cluster in which a -> b is denied from `denied_s` seconds after the change."""

    denied_s: float = 0.0
    how: str = SILENT
    broken: bool = False  # a -> b never worked
    changed_at: float | None = None
    cluster: FakeCluster = field(init=False)

    def __post_init__(self) -> None:
        self.cluster = FakeCluster(self.reach)

    def reach(self, source: str, destination: str, port: int, protocol: str) -> str:
        del port, protocol
        if (source, destination) != ("x/a", "y/b"):
            return OPEN
        if self.broken:
            return SILENT
        late = self.changed_at is not None and now() >= self.changed_at + self.denied_s
        return self.how if late else OPEN

    async def change(self) -> None:
        self.changed_at = now()

    def run(
        self,
        pace: Pace | None = None,
        changes: int = 1,
        flows: Sequence[Flow] = FLOWS,
        kinds: Sequence[str] = (),
    ) -> list[Observed]:
        return observed(self.cluster, flows, self.change, pace=pace, changes=changes, kinds=kinds)


def observed(
    cluster: FakeCluster,
    flows: Sequence[Flow],
    change: Callable[[], Awaitable[None]],
    *,
    fixture: Fixture = FIXTURE,
    lab: bool = False,
    pace: Pace | None = None,
    changes: int = 1,
    kinds: Sequence[str] = (),
) -> list[Observed]:
    """What a prober sees after each of the changes."""

    async def run() -> list[Observed]:
        async with (
            Workbench(cluster, fixture, changes=changes, kinds=kinds, lab=lab) as bench,
            Prober(cluster, bench.stations, flows, canaries=bench.canaries, pace=pace) as prober,
        ):
            await prober.baseline()
            return [await prober.observe(change, kinds) for _ in range(changes)]

    return virtually(run())


def marks(observed: Observed) -> str:
    return "".join(observed.matrix[flow].verdict.mark for flow in FLOWS)


@pytest.mark.parametrize(
    ("how", "outcome", "reason"),
    [(SILENT, Outcome.TIMED_OUT, None), (REFUSED, Outcome.REFUSED, judge.REJECTED)],
)
def test_what_a_policy_denies_is_denied_and_nothing_else(
    how: str, outcome: Outcome, reason: str | None
) -> None:
    (seen,) = World(how=how).run()
    assert marks(seen) == "..XX...."
    assert list(seen.matrix) == list(FLOWS)
    assert seen.facts.enforcement.enforcing is True
    cell = seen.matrix[A_TO_B]
    assert (cell.outcome, cell.reason) == (outcome, reason)
    assert cell.control == Control("self", "baseline")
    assert seen.facts.problems == ()


@pytest.mark.parametrize("listener_s", [0.0, 60.0])
def test_a_listener_that_dies_with_the_change_denies_nothing(
    monkeypatch: pytest.MonkeyPatch, listener_s: float
) -> None:
    world = World()
    alive = world.cluster.try_once

    def dying(source: str, host: str, port: int, protocol: str) -> str:
        if world.changed_at is None or "canary" in source:
            return alive(source, host, port, protocol)
        return SILENT

    monkeypatch.setattr(world.cluster, "try_once", dying)
    (seen,) = world.run(Pace(listener_s=listener_s))
    assert seen.matrix[A_TO_B].outcome is Outcome.TIMED_OUT
    assert seen.matrix[A_TO_B].verdict is Verdict.UNKNOWN
    assert seen.matrix[Flow(A, B, 53, UDP)].verdict is Verdict.UNKNOWN, "only it itself can answer a datagram"


@pytest.mark.parametrize(
    ("busy_s", "misses_s", "verdict", "reason"),
    [
        pytest.param(0.7, 2.0, Verdict.ALLOW, None, id="it answers late, and then everybody"),
        pytest.param(0.7, 900.0, Verdict.UNKNOWN, judge.BUSY, id="it never has time for everybody"),
        pytest.param(0.2, 900.0, Verdict.DENY, None, id="it has time for everybody"),
    ],
)
def test_a_datagram_that_a_busy_listener_misses_is_not_denied(
    busy_s: float, misses_s: float, verdict: Verdict, reason: str | None
) -> None:
    """`misses_s`: for how long after the change b answers its own pod only."""
    world = World()

    def reach(source: str, destination: str, port: int, protocol: str) -> str:
        del port
        since = now() - (now() if world.changed_at is None else world.changed_at)
        missed = (source, destination, protocol) == ("x/a", "y/b", "UDP") and 0 < since < misses_s
        return SILENT if missed else OPEN

    cluster = FakeCluster(reach, slow=lambda source, _: busy_s if source == "y/b" else 0.001)
    world.cluster = cluster
    (seen,) = world.run()
    cell = seen.matrix[Flow(A, B, 53, UDP)]
    assert (cell.verdict, cell.reason) == (verdict, reason)


@pytest.mark.parametrize("listener_s", [0.0, 60.0])
def test_a_pod_tries_its_own_listener_again_if_no_other_pod_reached_it(
    monkeypatch: pytest.MonkeyPatch, listener_s: float
) -> None:
    """With a proof that lasts only then, once for rounds that overlap; without one in every round, always."""
    world = World()
    ordinary = world.cluster.try_once
    selves: list[int] = []

    def listening(source: str, host: str, port: int, protocol: str) -> str:
        namespace, _, name = source.partition("/")
        own = world.cluster.objects["Pod", namespace, name]["status"]["podIP"]
        if world.changed_at is not None and host == own and protocol == "TCP" and "canary" not in source:
            selves.append(port)
        return ordinary(source, host, port, protocol)

    monkeypatch.setattr(world.cluster, "try_once", listening)
    (seen,) = world.run(Pace(listener_s=listener_s), flows=(A_TO_B, B_TO_A))
    assert seen.matrix[A_TO_B].control == Control("self", "baseline")
    assert seen.matrix[B_TO_A].verdict is Verdict.ALLOW
    rounds = seen.facts.rounds - 1  # the baseline's
    assert rounds == 2
    assert len(selves) == (1 if listener_s else 2 * rounds)


def test_a_path_that_never_worked_is_unknown_and_not_denied() -> None:
    (seen,) = World(broken=True).run()
    assert marks(seen) == "..??...."
    assert (seen.matrix[A_TO_B].reason or "").startswith("path:")


def test_one_exec_a_source_and_one_a_canary_for_the_whole_run() -> None:
    world = World()
    seen = world.run(changes=3)
    assert world.cluster.execs.count("x/a") == 1
    assert world.cluster.execs.count("y/b") == 1
    assert len([pod for pod in world.cluster.execs if "canary-client" in pod]) == 1
    assert sum(one.facts.execs for one in seen) == len(world.cluster.execs)


def test_with_more_stations_than_sessions_each_round_has_its_exec() -> None:
    world = World()
    (seen,) = world.run(Pace(method=Method(kept_sessions=1)))
    assert marks(seen) == "..XX...."
    assert world.cluster.execs.count("x/a") == seen.facts.rounds > 1


def test_rounds_count_only_once_the_canary_has_turned() -> None:
    world = World(denied_s=0.3)
    world.cluster.lag_s = 0.3
    (seen,) = world.run()
    assert marks(seen) == "..XX....", "a round right after the change would have seen two open cells, twice"
    assert seen.facts.converged_s == pytest.approx(0.3, abs=0.06)
    assert seen.facts.rounds == 3, "the baseline and one pair"


def test_convergence_continues_until_the_last_cell_has_moved() -> None:
    world = World(denied_s=0.2)  # later than the canary
    (seen,) = world.run()
    assert marks(seen) == "..XX...."
    assert seen.facts.converged_s == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("kind", OPENING)
def test_a_change_of_another_kind_counts_once_a_canary_of_that_kind_has_turned(kind: str) -> None:
    """NetworkPolicies of the same moment arrive at once, and prove nothing for the other kind."""
    world = World(denied_s=4)
    world.cluster.kind_lag_s = 4
    for seen in world.run(changes=2, kinds=[kind]):
        assert marks(seen) == "..XX...."
        assert seen.facts.converged_s == pytest.approx(4, abs=0.5)
        assert seen.facts.problems == ()
    assert not world.cluster.objects


@pytest.mark.parametrize("late_listener_s", [0, 1], ids=["at once", "although its listeners start late"])
def test_a_cluster_that_enforces_nothing_is_found_out_by_its_canary(late_listener_s: float) -> None:
    world = World()
    world.cluster.enforces = False
    world.cluster.late_listener_s = late_listener_s
    world.cluster.network = lambda *_: OPEN
    (seen,) = world.run()
    assert seen.facts.enforcement.enforcing is False
    assert f"port {9001 if late_listener_s else 9002}" in seen.facts.enforcement.evidence
    assert marks(seen) == "........"
    assert seen.facts.converged_s is None


def test_a_change_that_never_arrives_is_a_problem_and_not_for_ever() -> None:
    world = World()
    world.cluster.follows = False
    (seen,) = world.run()
    assert seen.facts.converged_s is None
    assert "was not seen within" in seen.facts.problems[0]


def test_an_agent_that_stops_after_a_change_is_no_cluster_without_enforcement() -> None:
    """The port that the next change opens is still open from the last one: its rules are stale."""
    world = World()

    async def change() -> None:
        world.cluster.follows = world.changed_at is None
        await world.change()

    arrived, stale = observed(world.cluster, FLOWS, change, changes=2)
    assert arrived.facts.problems == ()
    assert "was not seen within" in stale.facts.problems[0]
    assert (stale.facts.converged_s, stale.facts.enforcement.enforcing) == (None, True)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(ClusterError("the kubelet is away"), "the kubelet is away", id="not started"),
        pytest.param(NotFoundError("no such pod"), "no such pod", id="gone"),
        pytest.param("cut", "the connection was lost", id="cut"),
    ],
)
def test_a_failed_exec_makes_its_flows_unknown(fault: Exception | str, reason: str) -> None:
    world = World()
    world.cluster.exec_fault = lambda pod: fault if pod == "x/a" else None
    (seen,) = world.run()
    assert marks(seen) == "????....", "also what a proved about its own listeners"
    assert {seen.matrix[flow].outcome for flow in FLOWS[:4]} == {Outcome.EXEC_FAILED}
    assert reason in (seen.matrix[A_TO_B].reason or "")


def test_a_stream_that_is_cut_once_is_opened_again() -> None:
    world = World()
    faults: list[ClusterError | str | None] = ["cut", ClusterError("busy"), None]

    def fault(pod: str) -> ClusterError | str | None:
        return faults.pop(0) if pod == "x/a" and faults else None

    world.cluster.exec_fault = fault
    (seen,) = world.run()
    assert marks(seen) == "..XX...."


def test_an_exception_of_the_change_goes_through_and_cleans_up() -> None:
    world = World()

    async def forbidden() -> None:
        raise ClusterError("no")

    world.change = forbidden  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match=r"^no$"):
        world.run()
    assert not world.cluster.objects


def observe_external(*, lab: bool) -> tuple[Observed, Flow, Flow]:
    host = External(ip_address("203.0.113.50"), "partner")
    outward, inward = Flow(A, host, 443), Flow(host, A, 80)
    fixture = Fixture(FIXTURE.namespaces, PODS, (OutsideHost(host, (ContainerPort(443),)),))

    async def nothing() -> None: ...

    (seen,) = observed(FakeCluster(), [outward, inward], nothing, fixture=fixture, lab=lab)
    return seen, outward, inward


def test_external_hosts_are_sources_on_a_lab_only() -> None:
    seen, _, inward = observe_external(lab=True)
    assert seen.matrix[inward].verdict is Verdict.ALLOW
    seen, outward, inward = observe_external(lab=False)
    assert seen.matrix[inward].outcome is Outcome.SKIPPED
    assert seen.matrix[inward].verdict is Verdict.UNKNOWN
    assert seen.matrix[outward].verdict is Verdict.UNKNOWN, "it never connected, so it is not denied"


def test_a_host_outside_that_was_reached_before_the_policies_is_denied_after_them() -> None:
    """It cannot be asked whether it still listens: that somebody reached it in this run is the proof."""
    host = External(ip_address("203.0.113.50"))
    outward, never = Flow(A, host, 443), Flow(A, host, 444)
    changed: list[float] = []

    def reach(_source: str, destination: str, port: int, _protocol: str) -> str:
        return SILENT if port == 444 or (destination == "203.0.113.50" and changed) else OPEN

    cluster = FakeCluster(reach, outside=frozenset({"203.0.113.50"}))

    async def close() -> None:
        changed.append(now())

    (seen,) = observed(cluster, [outward, never], close)
    assert seen.matrix[outward].verdict is Verdict.DENY
    assert seen.matrix[outward].control == Control("peer", "baseline")
    assert seen.matrix[never].verdict is Verdict.UNKNOWN


def attempts(observed: Observed) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for cell in observed.matrix.values():
        found.setdefault(cell.verdict.mark, set()).add(cell.attempts)
    return found


@pytest.mark.parametrize(
    ("late_s", "enforces", "connections"),
    [
        pytest.param(0, True, 1, id="a late connection needs no second one"),
        pytest.param(5, True, 2, id="one soon after the change is tried again"),
        pytest.param(0, False, 2, id="so is any where no canary has seen the change"),
    ],
)
def test_of_many_flows_a_late_connection_is_enough(late_s: float, enforces: bool, connections: int) -> None:
    world = World()
    world.cluster.enforces = enforces
    (seen,) = world.run(Pace(many=1, late_s=late_s))
    assert attempts(seen) == {".": {connections}, "X": {2}}


def test_of_many_flows_a_change_that_arrives_late_is_seen() -> None:
    """By the second round: the first takes no time here, and so ends before `late_s`."""
    (seen,) = World(denied_s=0.2).run(Pace(many=1, late_s=5))
    assert marks(seen) == "..XX...."
