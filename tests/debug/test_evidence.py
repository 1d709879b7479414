"""Causes as predicates over evidence: what fits two causes names both, and what is not known is no cause."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from netprobe.debug.causes import find_all
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Leg, NodeEnforcement, Packets, PodState, Question, Sender, Source, Try
from netprobe.model.flow import Flow, PodRef, Protocol
from netprobe.model.observation import Outcome
from netprobe.model.verdict import Decision, Verdict

WEB, DB = PodRef("shop", "web"), PodRef("shop", "db")
C, R, T = Outcome.CONNECTED, Outcome.REFUSED, Outcome.TIMED_OUT
WORKS, STALE = (
    (NodeEnforcement("n1", True, 1.0), NodeEnforcement("n2", True, 1.0)),
    (NodeEnforcement("n1", True, 1.0), NodeEnforcement("n2", False, 5.0)),
)


def tried(sender: Sender, aim: Aim, outcome: Outcome, *, node: str = "n1", expected: str = "allow") -> Try:
    to, port = (DB, 5432) if aim is Aim.LEG else (PodRef("run", "server"), 9000)
    flow = Flow(WEB, to, port, family=4)
    return Try(sender, aim, node, flow, "10.0.0.2", "n2", Verdict(expected), (outcome,))


def evidence(*tries: Try, canaries: tuple[NodeEnforcement, ...] = WORKS, udp: bool = False) -> Evidence:
    """web on n1 asks db on n2; the policies allow it."""
    pod = PodState(WEB, "n1", "Running", True)
    protocol = Protocol.UDP if udp else Protocol.TCP
    flow = Flow(WEB, DB, 5432, protocol, 4)
    leg = Leg(flow, ip_address("10.0.0.2"), "n2", Decision(Verdict.ALLOW))
    question = Question("shop/web", "shop/db", 5432, protocol)
    packets = Packets("00000000", tries, canaries)
    return Evidence(question, Source("shop/web", "Pod", (pod,), pod), None, None, (), (leg,), packets=packets)


def source(outcome: Outcome) -> Try:
    return tried(Sender.SOURCE, Aim.LEG, outcome)


def free(outcome: Outcome, expected: str = "allow") -> Try:
    return tried(Sender.FREE, Aim.LEG, outcome, expected=expected)


def out(outcome: Outcome, expected: str = "allow") -> Try:
    """The source to a policy-free pod on the other node."""
    return tried(Sender.SOURCE, Aim.CONTROL, outcome, expected=expected)


PAIR = tried(Sender.FREE, Aim.CONTROL, C)

DROPPED = [
    # which tries fail -> the node whose rules drop it, and how many other causes fit
    pytest.param(
        evidence(source(T), free(T), out(C), PAIR), "on n2, by stale rules", 1, id="the destination's"
    ),
    pytest.param(evidence(source(T), free(C), out(T), PAIR), "on n1, by stale rules", 1, id="the source's"),
    pytest.param(
        evidence(source(T), free(C, "deny"), out(C), PAIR), "on n2, by stale rules", 1, id="by elimination"
    ),
    pytest.param(
        evidence(source(T), free(T, "deny"), out(T, "deny"), PAIR), "on n1 and n2", 1, id="either side"
    ),
    pytest.param(
        evidence(source(T), free(T), out(C), PAIR, canaries=STALE),
        "on n2, whose rules are stale",
        0,
        id="new policies are not in force on that node",
    ),
    pytest.param(
        evidence(source(T), free(T), out(C), PAIR, canaries=STALE[1:]),
        "on n2, whose rules are stale",
        1,
        id="nor on any other: it may lag",
    ),
    pytest.param(
        replace(evidence(source(T), free(T), out(C), PAIR), others=("2 ciliumnetworkpolicies",)),
        "on n2, by stale rules",
        2,
        id="a kind that is not simulated",
    ),
]


@pytest.mark.parametrize(("found", "text", "others"), DROPPED)
def test_dropped_packets(found: Evidence, text: str, others: int) -> None:
    ((name, cause),) = find_all(found)
    assert name == "packets-dropped"
    assert text in cause.text
    assert len(cause.or_else) == others
    assert bool(cause.tell_apart) == bool(others)


def test_a_refusal_that_no_policy_free_pod_confirms_has_two_causes() -> None:
    ((name, cause),) = find_all(evidence(source(R), free(T, "deny"), PAIR))
    assert name == "no-listener"
    assert len(cause.or_else) == 1
    assert "--ephemeral" in cause.tell_apart
    ((name, cause),) = find_all(evidence(source(R), free(R), PAIR))
    assert (name, cause.or_else) == ("no-listener", ())


def test_a_listener_of_one_family_is_seen_although_a_policy_denies_the_source_in_it() -> None:
    six = Flow(WEB, DB, 5432, family=6)
    address, allowed = "fd00::2", Decision(Verdict.ALLOW)
    tries = [
        source(T),
        free(C),
        Try(Sender.SOURCE, Aim.LEG, "n1", six, address, "n2", Verdict.ALLOW, (R,)),
        Try(Sender.FREE, Aim.LEG, "n1", six, address, "n2", Verdict.ALLOW, (R,)),
        PAIR,
    ]
    found = evidence(*tries)
    denied = replace(found.legs[0], decision=Decision(Verdict.DENY))
    found = replace(found, legs=(denied, Leg(six, ip_address(address), "n2", allowed)))
    ((name, cause),) = find_all(found)
    assert name == "one-family"
    assert "answers on port 5432 over IPv4 only; over IPv6 (fd00::2): refused" in cause.text


NOTHING = [
    pytest.param(evidence(source(C), free(C), out(C), PAIR), id="it connects"),
    pytest.param(evidence(source(T), free(T), out(C), PAIR, udp=True), id="UDP: the server may be silent"),
    pytest.param(evidence(source(Outcome.EXEC_FAILED)), id="the probe failed"),
]


@pytest.mark.parametrize("found", NOTHING)
def test_what_is_not_known_is_no_cause(found: Evidence) -> None:
    assert find_all(found) == []
