"""What a case creates for itself: pods, some on a node's network, a namespace, and open connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from netprobe.conformance import case_pods
from netprobe.conformance.case import Case, CaseStep
from netprobe.conformance.case_pods import KEEP_OPEN, CasePods, kept_open
from netprobe.conformance.load import builtin
from netprobe.conformance.world import ON_HOST, Cell
from netprobe.errors import WorkbenchError
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.model.verdict import Verdict
from netprobe.probe import PodOptions, Station
from netprobe.probe.bench import ref_of
from tests.conformance.samples import CASE, SITE

PASSES = bool


class Cluster:
    """Bench and cluster in one: namespaces and pods that come and go at once."""

    run = "abcd1234"

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str | None, str], Object] = {}
        self.calls: list[str] = []
        self.ready = True
        self._uids = 0

    async def namespace(self, name: str, labels: dict[str, str]) -> None:
        self.calls.append(f"+{name} {labels}")

    async def remove_namespace(self, name: str) -> None:
        await self.delete("Namespace", name)

    async def start(self, objects: list[Object], *, until: Callable[[Object], bool]) -> dict[PodRef, Object]:
        made = [await self.create(obj) for obj in objects]
        assert all(map(until, made)), "as the pods are here, at once"
        return {ref_of(pod): pod for pod in made}

    async def create(self, obj: Object) -> Object:
        meta = obj["metadata"]
        self._uids += 1
        status = {
            "podIP": f"10.0.0.{self._uids}",
            "hostIP": "192.0.2.9",
            "conditions": [{"type": "Ready", "status": str(self.ready)}],
            "containerStatuses": [{"state": {"running": {}}}],
        }
        live = {**obj, "metadata": {**meta, "uid": str(self._uids)}, "status": status}
        live["spec"] = {"nodeName": "n1", **obj["spec"]}
        self.objects[obj["kind"], meta["namespace"], meta["name"]] = live
        self.calls.append(f"+{meta['namespace']}/{meta['name']}")
        return live

    async def find(self, kind: str, namespace: str, _: object) -> list[Object]:
        return [obj for key, obj in self.objects.items() if key[:2] == (kind, namespace)]

    async def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        self.calls.append(f"-{namespace}/{name}" if namespace else f"-{name}")
        self.objects.pop((kind, namespace, name), None)


def case_pods_of(cluster: Cluster, case: Case = CASE) -> CasePods:
    there: Any = cluster
    return CasePods(there, there, case, SITE, options=PodOptions())


def step_with(*pods: str, remade: tuple[str, ...] = (), **labels: dict[str, str]) -> CaseStep:
    return CaseStep([], PASSES, labels, {pod: {} for pod in pods}, frozenset(remade))


async def test_a_namespace_is_there_while_a_step_has_pods_in_it() -> None:
    cluster = Cluster()
    steps = [
        step_with(),
        step_with("v/late", v={"tier": "new"}),
        step_with("v/late"),
        step_with("v/late", remade=("v",)),
        step_with(),
        step_with("v/late"),
    ]
    fresh = []
    async with case_pods_of(cluster) as made:
        for step in steps:
            fresh.append(await made.clear(step))
            await made.make(step)
    assert fresh == [False, True, False, True, True, True]
    assert cluster.calls == [
        "+v {'netprobe.dev/fixture': 'fixture', 'tier': 'new'}",
        "+v/late",
        "-v",
        "+v {'netprobe.dev/fixture': 'fixture'}",
        "+v/late",
        "-v",
        "+v {'netprobe.dev/fixture': 'fixture'}",
        "+v/late",
        "-v/late",
        "-v",
    ]


async def test_a_pod_is_there_while_a_step_has_it() -> None:
    cluster = Cluster()
    async with case_pods_of(cluster) as made:
        first = step_with("x/late", "y/late")
        for step in (first, first, step_with("x/late", "y/late", remade=("x/late",)), step_with("y/late")):
            await made.clear(step)
            await made.make(step)
        assert set(made.stations) == {PodRef("y", "late")}
        assert made.site.addresses["x/late"] != SITE.addresses["x/late"]
    assert cluster.calls == ["+x/late", "+y/late", "-x/late", "+x/late", "-x/late", "-y/late"]


async def test_a_pod_on_a_node_s_network() -> None:
    cluster = Cluster()
    both = step_with(*ON_HOST)
    async with case_pods_of(cluster) as made:
        made.site = SITE.with_pods({}, {"x/a": "first", "x/b": "second"})
        await made.make(both)
    live = [pod for key, pod in cluster.objects.items() if key[0] == "Pod"]
    assert live == []
    specs = [made._object(name, both)["spec"] for name in ON_HOST]
    assert [spec["nodeName"] for spec in specs] == ["first", "second"]
    for spec in specs:
        assert spec["hostNetwork"]
        assert "sysctls" not in spec["securityContext"], "they would be the node's"
        assert [port["containerPort"] for port in spec["containers"][0]["ports"]] == [SITE.host_port]


@pytest.mark.parametrize(
    ("ready", "listener", "verdicts"),
    [
        pytest.param([True, True], "self", [Verdict.ALLOW, Verdict.ALLOW], id="reached"),
        pytest.param([True, False], "self", [Verdict.ALLOW, Verdict.DENY], id="reached once"),
        pytest.param([True, False], None, [Verdict.ALLOW, Verdict.UNKNOWN], id="a listener that may be dead"),
        pytest.param([False], "self", [Verdict.UNKNOWN], id="never reached"),
    ],
)
async def test_what_a_kubelet_says(
    monkeypatch: pytest.MonkeyPatch, ready: list[bool], listener: str | None, verdicts: list[Verdict]
) -> None:
    monkeypatch.setattr(case_pods, "PROBE_SETTLED_S", 0)
    case = next(case for case in builtin() if "kubelet" in case.needs)
    cluster = Cluster()
    cluster.ready = ready[0]
    seen = []
    async with case_pods_of(cluster, case) as made:
        await made.make(step_with("x/late"))
        (pod,) = await cluster.find("Pod", "x", None)
        assert pod["spec"]["containers"][0]["readinessProbe"]["tcpSocket"] == {"port": 80}
        assert list(map(str, made.site.addresses["node:x/late"])) == ["192.0.2.9"]
        for one in ready:
            pod["status"]["conditions"][0]["status"] = str(one)
            seen.append((await made.observe_probe("x/late", listener=listener)).verdict)
    assert seen == verdicts


class Pod:
    """Runs nothing: prints what a command would."""

    def __init__(self, *printed: str) -> None:
        self.printed = printed
        self.command: list[str] = []
        self.open = False

    @asynccontextmanager
    async def exec(self, *where: str, stdin: bool = True) -> AsyncIterator[Any]:
        assert not stdin
        self.command = list(where[3])
        self.open = True
        try:
            yield self
        finally:
            self.open = False

    async def lines(self) -> AsyncIterator[str]:
        for line in self.printed:
            yield line
        if not self.printed:
            await asyncio.Event().wait()


TO_OPEN = Cell("x/b", "x/a", "80/TCP")
SOURCE = SITE.end("x/b")
STATIONS: Any = {SOURCE: Station(SOURCE, "x", "b", "probe", SITE.addresses["x/b"])}


@pytest.mark.parametrize(
    "printed", ["10.1.0.1 (10.1.0.1:80) open", "Connection to 10.1.0.1 80 port [tcp/*] succeeded!"]
)
async def test_a_connection_is_open_until_the_end(printed: str) -> None:
    pod: Any = Pod(printed)
    async with kept_open(pod, SITE, STATIONS, [TO_OPEN]):
        assert pod.open
    assert not pod.open
    assert pod.command[2] == KEEP_OPEN
    assert pod.command[4:6] == [str(SITE.addresses["x/a"][0]), "80"]


@pytest.mark.parametrize(
    ("printed", "timeout_s", "why"), [(["nc: refused"], 60, "nc: refused"), ([], 0, "not after 0 s")]
)
async def test_a_connection_that_does_not_open(
    monkeypatch: pytest.MonkeyPatch, printed: list[str], timeout_s: float, why: str
) -> None:
    monkeypatch.setattr(case_pods, "OPENED_S", timeout_s)
    pod: Any = Pod(*printed)
    with pytest.raises(WorkbenchError, match=f"x/b -> x/a 80/TCP did not open: {why}"):
        async with kept_open(pod, SITE, STATIONS, [TO_OPEN]):
            pass
    assert not pod.open
