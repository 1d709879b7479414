"""What a kubelet's probes show, and connections that do not open; test_lab.py has the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from netprobe.conformance import case_pods
from netprobe.conformance.case import CaseStep
from netprobe.conformance.case_pods import CasePods, kept_open
from netprobe.conformance.load import builtin
from netprobe.conformance.world import Cell
from netprobe.errors import WorkbenchError
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.model.verdict import Verdict
from netprobe.probe import PodOptions, Station
from netprobe.probe.bench import ref_of
from tests.conformance.samples import SITE


class Kubelet:
    """Bench and cluster in one: runs a pod, and prints what a command in it would."""

    run = "abcd1234"

    def __init__(self, *printed: str) -> None:
        self.printed = printed
        self.pod: Object = {}
        self.executing = False

    async def start(self, objects: list[Object], **_: object) -> dict[PodRef, Object]:
        (self.pod,) = objects
        self.pod["spec"]["nodeName"] = "n1"
        self.pod["status"] = {"podIP": "10.0.0.1", "hostIP": "192.0.2.9", "conditions": [{"type": "Ready"}]}
        return {ref_of(self.pod): self.pod}

    def probed(self, *, ready: bool) -> None:
        self.pod["status"]["conditions"][0]["status"] = str(ready)

    async def find(self, *_: object) -> list[Object]:
        return [self.pod]

    async def delete(self, *_: object) -> None:
        self.pod = {}

    @asynccontextmanager
    async def exec(self, *_: object, stdin: bool = True) -> AsyncIterator[Any]:
        assert not stdin
        self.executing = True
        try:
            yield self
        finally:
            self.executing = False

    async def lines(self) -> AsyncIterator[str]:
        for line in self.printed:
            yield line
        if not self.printed:
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("ready", "listener", "verdicts"),
    [
        pytest.param([True, True], "self", [Verdict.ALLOW, Verdict.ALLOW], id="reached"),
        pytest.param([True, False], "self", [Verdict.ALLOW, Verdict.DENY], id="reached once"),
        pytest.param([True, False], None, [Verdict.ALLOW, Verdict.UNKNOWN], id="a listener that may be dead"),
        pytest.param([False], "self", [Verdict.UNKNOWN], id="never reached"),
    ],
)
async def test_what_a_kubelet_reaches(
    monkeypatch: pytest.MonkeyPatch, ready: list[bool], listener: str | None, verdicts: list[Verdict]
) -> None:
    monkeypatch.setattr(case_pods, "PROBE_SETTLED_S", 0)
    case = next(case for case in builtin() if "kubelet" in case.needs)
    there: Any = Kubelet()
    async with CasePods(there, there, case, SITE, options=PodOptions()) as made:
        await made.make(CaseStep([], bool, pods={"x/late": {}}))
        assert there.pod["spec"]["containers"][0]["readinessProbe"]["tcpSocket"] == {"port": 80}
        assert list(map(str, made.site.addresses["node:x/late"])) == ["192.0.2.9"]
        seen = []
        for one in ready:
            there.probed(ready=one)
            seen.append((await made.observe_probe("x/late", listener=listener)).verdict)
    assert seen == verdicts


@pytest.mark.parametrize(
    ("printed", "timeout_s", "why"), [(["nc: refused"], 60, "nc: refused"), ([], 0, "not after 0 s")]
)
async def test_a_connection_that_does_not_open(
    monkeypatch: pytest.MonkeyPatch, printed: list[str], timeout_s: float, why: str
) -> None:
    monkeypatch.setattr(case_pods, "OPENED_S", timeout_s)
    pod: Any = Kubelet(*printed)
    source = SITE.end("x/b")
    stations: Any = {source: Station(source, "x", "b", "probe", SITE.addresses["x/b"])}
    with pytest.raises(WorkbenchError, match=f"x/b -> x/a 80/TCP did not open: {why}"):
        async with kept_open(pod, SITE, stations, [Cell("x/b", "x/a", "80/TCP")]):
            pass
    assert not pod.executing
