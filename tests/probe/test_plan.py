"""From flows to batches."""

from __future__ import annotations

from ipaddress import ip_address

from netprobe.model.flow import ContainerPort, End, External, Flow, PodRef, Protocol, ServiceRef
from netprobe.probe import plan
from netprobe.probe.netcat import Target
from netprobe.probe.plan import Station, Unplaced

UDP = Protocol.UDP


def station(name: str, *addresses: str, ports: tuple[ContainerPort, ...] = (ContainerPort(80),)) -> Station:
    return Station(PodRef("x", name), "x", name, "probe", tuple(map(ip_address, addresses)), "n1", ports)


A = station("a", "10.0.0.1", "fd00::1")
B = station("b", "10.0.0.2", "fd00::2", ports=(ContainerPort(80), ContainerPort(53, UDP)))
C = station("c", "fd00::3")
STATIONS: dict[End, Station] = {s.end: s for s in (A, B, C)}


def host(flow: Flow) -> str:
    return plan.make([flow], STATIONS).of[flow][1].host


def test_one_batch_a_source_with_all_its_targets_and_the_controls_of_its_own() -> None:
    flows = [Flow(A.end, B.end, 80), Flow(A.end, B.end, 53, UDP), Flow(B.end, A.end, 80)]
    batches = plan.make(flows, STATIONS).batches()
    assert {b.source: set(b.targets) for b in batches} == {
        A: {Target("10.0.0.2", 80), Target("10.0.0.2", 53, UDP), Target("10.0.0.1", 80)},
        B: {Target("10.0.0.1", 80), Target("10.0.0.2", 80), Target("10.0.0.2", 53, UDP)},
    }


def test_a_plan_for_some_flows_holds_their_controls_only() -> None:
    flow = Flow(A.end, B.end, 80)
    batches = plan.make([flow, Flow(B.end, A.end, 80)], STATIONS).batches([flow])
    assert {b.source: b.targets for b in batches} == {
        A: (Target("10.0.0.2", 80),),
        B: (Target("10.0.0.2", 80),),
    }


def test_a_listener_that_is_known_to_live_is_not_tried_by_its_own_pod() -> None:
    flows = [Flow(A.end, B.end, 80), Flow(A.end, B.end, 53, UDP)]
    batches = plan.make(flows, STATIONS).batches(alive={Target("10.0.0.2", 80)})
    assert {b.source: set(b.targets) for b in batches} == {
        A: {Target("10.0.0.2", 80), Target("10.0.0.2", 53, UDP)},
        B: {Target("10.0.0.2", 53, UDP)},
    }


def test_sources_begin_at_different_places() -> None:
    stations: dict[End, Station] = {}
    for n in range(1, 5):
        one = station(f"p{n}", f"10.0.0.{n}")
        stations[one.end] = one
    flows = [Flow(a, b, 80) for a in stations for b in stations]
    batches = plan.make(flows, stations).batches()
    assert len({batch.targets[0] for batch in batches}) == 4
    assert all(set(batch.targets) == set(batches[0].targets) for batch in batches)


def test_the_family_of_a_flow_chooses_the_address() -> None:
    assert host(Flow(A.end, B.end, 80, family=6)) == "fd00::2"
    assert host(Flow(A.end, B.end, 80, family=4)) == "10.0.0.2"


def test_one_row_for_both_families_takes_one_that_both_ends_have() -> None:
    assert host(Flow(A.end, B.end, 80)) == "10.0.0.2"
    assert host(Flow(C.end, A.end, 80)) == "fd00::1"


def test_what_cannot_be_probed_is_skipped_with_the_reason() -> None:
    outside, service = External(ip_address("203.0.113.7")), ServiceRef("x", "web")
    flows = {
        Flow(outside, A.end, 80): "no probe can be run on 203.0.113.7",
        Flow(A.end, C.end, 80, family=4): "x/c has no IPv4 address",
        Flow(A.end, B.end, 80, Protocol.SCTP): "SCTP: nc does not support it",
        Flow(A.end, service, 80): "svc:x/web has no address that is known",
    }
    made = plan.make(flows, STATIONS)
    assert made.skipped == flows
    assert not made.of


def test_a_locator_decides_for_every_flow() -> None:
    by_name, nowhere = Flow(A.end, ServiceRef("x", "web"), 80), Flow(A.end, B.end, 80)

    def locate(flow: Flow) -> str | Unplaced:
        return "web.x.svc" if flow is by_name else Unplaced("not today")

    made = plan.make([by_name, nowhere], STATIONS, locate)
    assert made.of[by_name] == (A, Target("web.x.svc", 80))
    assert made.skipped == {nowhere: "not today"}
