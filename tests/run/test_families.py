"""IPv4 and IPv6 are tried each for itself, and told as one where they came out alike."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, PodRef, Via
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Control, Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe.guest_workbench import GuestWorkbench
from netprobe.probe.plan import Station, Unplaced
from netprobe.run.moment import joined_families, rows_by_family
from netprobe.run.route import NAMED, Route
from netprobe.simulate import Simulator
from tests.probe.fake import FakeCluster
from tests.run.crowd import crowd
from tests.run.test_in_place_plan import TO_DB, here, with_service

WEB, DB = PodRef("shop", "web-0"), PodRef("shop", "db-1")
FLOW = Flow(WEB, DB, 80)
V4, V6 = replace(FLOW, family=4), replace(FLOW, family=6)
CONNECTED = Observation(Outcome.CONNECTED, Verdict.ALLOW, latency_ms=1.0)
PROVEN = Control("self", "baseline")
DROPPED = Observation(Outcome.TIMED_OUT, Verdict.DENY, PROVEN)


def dual(cluster: Cluster) -> Cluster:
    pods = {
        ref: replace(pod, addresses=(*pod.addresses, ip_address(f"fd00::{number}")))
        for number, (ref, pod) in enumerate(cluster.pods.items(), 1)
    }
    services = {
        ref: replace(one, addresses=(*one.addresses, ip_address("fd96::9")))
        for ref, one in cluster.services.items()
    }
    return replace(cluster, pods=pods, services=services)


def test_a_flow_is_tried_in_each_family_that_both_ends_have() -> None:
    assert list(rows_by_family([FLOW], Simulator(crowd()))) == [V4]
    both = Simulator(dual(crowd()))
    assert list(rows_by_family([FLOW], both)) == [V4, V6]
    assert list(rows_by_family([FLOW], both, 6)) == [V6]
    assert list(rows_by_family([FLOW], Simulator(crowd()), 6)) == [V4], "there is no other"


def test_by_a_name_the_resolver_chooses() -> None:
    cluster = dual(with_service(None))
    assert [flow.family for flow in rows_by_family([TO_DB], Simulator(cluster))] == [4, 6]
    by_name = replace(TO_DB, via=Via.DNS)
    assert list(rows_by_family([by_name], Simulator(cluster))) == [by_name]


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        pytest.param(CONNECTED, [None], id="alike"),
        pytest.param(replace(CONNECTED, latency_ms=9.0), [None], id="alike but for the time that it took"),
        pytest.param(replace(CONNECTED, control=PROVEN), [None], id="alike but for the proof"),
        pytest.param(DROPPED, [4, 6], id="only one of them connects"),
        pytest.param(replace(CONNECTED, flaky=True), [4, 6], id="one of them wavered"),
        pytest.param(None, [4, 6], id="one was not tried"),
    ],
)
def test_one_row_where_nothing_distinguishes_them(
    seen: Observation | None, message: list[int | None]
) -> None:
    simulated = Simulator(dual(crowd())).matrix([V4, V6])
    cells = {V4: CONNECTED} | ({V6: seen} if seen else {})
    said, saw = joined_families(simulated, Matrix(cells))
    assert [flow.family for flow in said] == message
    assert saw[next(iter(said))] is CONNECTED


@pytest.mark.parametrize(
    ("addresses", "host"),
    [
        pytest.param(("10.96.0.9",), "db.shop.svc", id="a Service of one family: its name leads there"),
        pytest.param(("10.96.0.9", "fd96::9"), None, id="of two: nobody can say where"),
    ],
)
def test_a_row_of_one_family_by_a_name(addresses: tuple[str, ...], host: str | None) -> None:
    cluster = dual(with_service(None))
    services = {
        ref: replace(one, addresses=tuple(map(ip_address, addresses)))
        for ref, one in cluster.services.items()
    }
    found = here(replace(cluster, services=services), TO_DB, ways=(Via.DNS,))
    bench = GuestWorkbench(FakeCluster(), found.guests, run="r1")
    bench.stations = {
        WEB: Station(WEB, "shop", "shadow", "probe", tuple(map(ip_address, ("10.0.9.9", "fd00::99"))))
    }
    place = Route(found, bench).locate(replace(TO_DB, family=4, via=Via.DNS))
    assert place == (Unplaced(NAMED) if host is None else host)


def test_readiness_proves_the_family_that_the_kubelet_asks_in() -> None:
    found = here(dual(crowd()), FLOW, ways=(Via.DNS,))
    assert {flow.family: found.listener(flow) for flow in found.simulated} == {4: "readiness", 6: None}
    proof = found.other_family(V6)
    assert proof is not None
    assert "over IPv6 on that port would prove it" in proof
    assert found.other_family(V4) is None
    by_service = here(dual(with_service(None)), TO_DB, ways=(Via.DNS,))
    assert {(flow.via, flow.family): by_service.listener(flow) for flow in by_service.simulated} == {
        (Via.SERVICE, 4): "readiness",
        (Via.SERVICE, 6): None,
        (Via.DNS, None): None,
    }
