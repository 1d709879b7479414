"""Probing as with many flows, on a lab whose execs fail in every way that there is: few flows do for that."""

from __future__ import annotations

import asyncio

import pytest

from netprobe.kube import connect
from netprobe.lab import Lab
from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef, Protocol
from netprobe.probe import Fixture, Observed, Pace, Prober, Workbench

pytestmark = pytest.mark.lab

PORTS = (ContainerPort(80), ContainerPort(53, Protocol.UDP))
FAULTS = {"well": "", "breaks": "breaks", "hangs": "hangs", "loses": "loses-status", "late": "late=1"}
PODS = {name: Pod(PodRef("many", name), {"app": name}, ports=PORTS) for name in FAULTS}
FIXTURE = Fixture(
    (Namespace("many", {}),),
    tuple(PODS.values()),
    annotations={
        PODS[name].ref: {"netprobe.dev/fault-exec": fault} for name, fault in FAULTS.items() if fault
    },
)
FLOWS = tuple(
    Flow(a.ref, b.ref, port.number, port.protocol)
    for a in PODS.values()
    for b in PODS.values()
    for port in PORTS
)
CLOSE_LATE = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"namespace": "many", "name": "close-late"},
    "spec": {"podSelector": {"matchLabels": {"app": "late"}}, "policyTypes": ["Ingress"]},
}
PACE = Pace(start_s=2, many=1, late_s=0.0).on_lab(len(FLOWS))


async def observed(lab: Lab) -> Observed:
    async with (
        connect(lab.kubeconfig) as cluster,
        Workbench(cluster, FIXTURE, lab=True) as bench,
        Prober(cluster, bench.stations, FLOWS, canaries=bench.canaries, pace=PACE) as prober,
    ):
        await prober.baseline()
        return await prober.observe(lambda: bench.apply(CLOSE_LATE))


def test_in_bulk_a_failed_exec_is_unknown_and_a_denial_still_holds_twice(lab: Lab) -> None:
    assert PACE.method.bulk
    seen = asyncio.run(observed(lab))
    expected = {}
    for flow in FLOWS:
        source, destination = (end.name for end in (flow.source, flow.destination) if isinstance(end, PodRef))
        closed = destination == "late" and source != "late"
        expected[flow] = "?" if source in {"breaks", "hangs"} else "X" if closed else "."
    assert {flow: cell.verdict.mark for flow, cell in seen.matrix.items()} == expected
    denied = [cell for cell in seen.matrix.values() if cell.verdict.mark == "X"]
    assert all(cell.attempts >= 2 and cell.control.listener for cell in denied)
    unknown = [cell.reason for cell in seen.matrix.values() if cell.verdict.mark == "?"]
    assert all(reason is not None and reason.startswith("exec") for reason in unknown)
