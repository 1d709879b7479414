"""The objects of guests, and the bench that makes exactly these."""

from __future__ import annotations

from netprobe.model.flow import End, Flow, PodRef, Protocol
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.verdict import Verdict
from netprobe.probe import PodOptions, Prober, guest_workbench
from netprobe.probe.guest_workbench import GuestPlan, GuestWorkbench, Shadow
from netprobe.probe.netcat import Target
from netprobe.probe.plan import Station, Try
from netprobe.probe.run_objects import RUN
from tests.probe.clock import virtually
from tests.probe.fake import OPEN, SILENT, FakeCluster

WEB, WEB_TOO, DB = PodRef("shop", "web-1"), PodRef("shop", "web-2"), PodRef("data", "db")
SHADOW = Shadow(PodRef("shop", "netprobe-r1-0"), {"app": "web"}, "n1", (WEB, WEB_TOO))
GUESTS = GuestPlan((SHADOW,), ("n1", "n2"))


def hosting() -> FakeCluster:
    """A cluster with a real pod in it that may not be entered."""
    cluster = FakeCluster()
    for name in ("shop", "data"):
        cluster.objects["Namespace", None, name] = {"kind": "Namespace", "metadata": {"name": name}}
    cluster.objects["Pod", "data", "db"] = {
        "kind": "Pod",
        "metadata": {"name": "db", "namespace": "data"},
        "status": {"podIP": "10.0.9.9"},
    }
    return cluster


def test_a_shadow_pod_is_never_ready_owned_and_controlled_by_nobody() -> None:
    pod = guest_workbench.shadow_pod(SHADOW, "r1", PodOptions(), "uid-1")
    assert pod["spec"]["readinessGates"] == [{"conditionType": "netprobe.dev/never"}]
    assert pod["metadata"]["labels"] == {"app": "web", RUN: "r1"}
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Job", "uid-1", False)
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_job_of_a_namespace_runs_nothing_and_ends_at_its_deadline() -> None:
    job = guest_workbench.owner_job("shop", "r1", PodOptions(lifetime_s=60))
    assert job["spec"]["parallelism"] == 0
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (60, 0)


def test_the_bench_creates_what_a_dry_run_prints_and_removes_it() -> None:
    cluster = hosting()
    before = set(cluster.objects)
    stations: dict[End, Station] = {}

    async def run() -> None:
        async with GuestWorkbench(cluster, GUESTS, run="r1") as bench:
            stations.update(bench.stations)
            assert bench.canaries is not None
            assert len(bench.canaries.pairs) == 2

    virtually(run())
    printed = {
        (obj["kind"], obj["metadata"]["name"])
        for obj in guest_workbench.guest_objects(GUESTS, "r1", PodOptions())
    } | {("Lease", "netprobe"), ("Namespace", "netprobe-r1")}
    assert {(kind, name) for verb, kind, name in cluster.calls if verb == "create"} == printed
    assert set(cluster.objects) == before
    assert stations[WEB] is stations[WEB_TOO], "one shadow pod for both, under the names of both"
    assert stations[WEB].pod == "netprobe-r1-0"
    order = [kind for verb, kind, _ in cluster.calls if verb == "delete"]
    assert order.index("Job") > order.index("Pod"), "a Job that goes first would orphan its pods"


def test_no_command_is_run_in_a_pod_that_is_not_ours() -> None:
    cluster = hosting()
    observed(cluster, listener="readiness")
    assert cluster.execs
    assert all(one.startswith(("shop/netprobe-r1-", "netprobe-r1/")) for one in cluster.execs)


def observed(cluster: FakeCluster, *, listener: str | None, pairs: bool = True) -> Matrix[Observation]:
    """One round of observation of web -> db 5432 in place."""
    flow = Flow(WEB, DB, 5432)

    async def run() -> Matrix[Observation]:
        async with GuestWorkbench(cluster, GUESTS, run="r1") as bench:

            def path(flow: Flow) -> tuple[Try, ...]:
                target = Target("10.0.9.9", flow.port, flow.protocol)
                return bench.control_pair("n1", "n2", target) if pairs else ()

            prober = Prober(
                cluster,
                bench.stations,
                [flow],
                canaries=bench.canaries,
                locate=lambda _: "10.0.9.9",
                listener=lambda _: listener,
                pairs=path,
            )
            async with prober:
                await prober.baseline(paths=False)
                return (await prober.observe()).matrix

    return virtually(run())


def silent_for_shadows(source: str, destination: str, port: int, protocol: str) -> str:
    return SILENT if destination == "data/db" else OPEN


def test_silence_is_a_denial_only_where_readiness_and_a_pair_prove_it() -> None:
    cases = [  # the listener that is known, whether pairs are tried, whether nothing at all connects
        ("readiness", True, False, Verdict.DENY),
        (None, True, False, Verdict.UNKNOWN),
        ("readiness", False, False, Verdict.UNKNOWN),
        ("readiness", True, True, Verdict.UNKNOWN),
    ]
    for listener, pairs, all_silent, verdict in cases:
        cluster = hosting()
        cluster.network = (lambda *_: SILENT) if all_silent else silent_for_shadows
        (cell,) = observed(cluster, listener=listener, pairs=pairs).values()
        assert cell.verdict is verdict, (listener, pairs, all_silent)
        if verdict is Verdict.DENY:
            assert (cell.control.listener, cell.control.path) == ("readiness", "pair")
        if all_silent:
            assert (cell.reason or "").startswith("path:")


def test_a_pair_is_tried_by_the_protocol_of_the_flow() -> None:
    cluster = hosting()

    async def run() -> tuple[Try, ...]:
        async with GuestWorkbench(cluster, GUESTS, run="r1") as bench:
            return bench.control_pair("n1", "n2", Target("10.0.9.9", 53, Protocol.UDP))

    ((station, target),) = virtually(run())
    assert station.pod == "canary-client-0"
    assert (target.port, target.protocol) == (9000, Protocol.UDP)
