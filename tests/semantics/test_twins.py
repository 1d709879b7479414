"""What tells two pods apart, x/b and x/t: they are in one group unless some policy looks at what differs."""

# ruff: noqa: E501  # a row of a table is a line

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.expression import Part, ValuePart
from netprobe.model.flow import ContainerPort, Protocol, ServiceRef
from netprobe.model.labels import CALICO_ACCOUNT, EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import (
    AllPeers,
    AnyPeer,
    NamedPort,
    Networks,
    NetworkSet,
    NotPeer,
    Peer,
    PodPeer,
    Policy,
    Port,
    PortRange,
    ServicePeer,
    Subject,
)
from netprobe.simulate import CALICO, CILIUM, Profile, evaluate
from netprobe.simulate.vocabulary import Vocabulary
from tests.semantics.stage import OTHER_WEB, PODS, app, block, marks, param, policy, rule, stage

X_B = next(pod for pod in PODS if str(pod.ref) == "x/b")
EVERYONE = AnyPeer()
A, ROBOTS = app("a"), Selector.of({"trust": "high"})
SET = NetworkSet("x", "set", {"app": "set"}, (ip_network("10.244.1.99/32"),))
SERVICE = Service(ServiceRef("x", "s"), {"role": "new"}, ports=(ServicePort(80, 80),))
TWIN: dict[str, Any] = {"addresses": (ip_address("10.244.1.99"),)}
"""The last address of the namespace; that of x/b is 10.244.1.2."""
WEB_80 = (ContainerPort(80, Protocol.TCP, "web"), OTHER_WEB[1])


def nets(*cidrs: str) -> Networks:
    return Networks(tuple(map(ip_network, cidrs)))


def role(value: str) -> dict[str, Any]:
    return TWIN | {"labels": {"app": "b", "role": value}}


ROLE_IN = Requirement("role", Operator.IN, ("new",))
PEER = [  # what differs, the peers that x/a is allowed to reach, and the marks of x/b and x/t
    param(TWIN, [PodPeer(app("b"))], ". .", "together", id="nothing that a policy looks at"),
    param(TWIN, [block("10.244.1.99/32")], "X .", "apart", id="one inside a block, one in front of it"),
    param(TWIN, [block("10.244.1.2/32")], ". X", "apart", id="one inside a block, one behind it"),
    param(TWIN, [block("10.244.1.0/30"), block("10.244.1.96/29")], ". .", "apart", id="each in a block"),
    param(TWIN, [block("10.244.1.50/32")], "X X", "together", id="in front of a block, and behind it"),
    param(TWIN, [block("10.244.1.0/24", "10.244.1.99/32")], ". X", "apart", id="an exception"),
    param(TWIN, [block("10.244.1.0/24")], ". .", "together", id="both inside"),
    param(TWIN, [nets("10.244.1.99/32")], "X .", "apart", id="networks"),
    param(TWIN, [AllPeers((NotPeer(nets("10.244.1.99/32")), PodPeer(app("b"))))], ". X", "apart", id="not a network"),
    param(TWIN, [PodPeer(app("set"), sets=True)], "X .", "apart", id="a network set"),
    param(TWIN, [PodPeer(app("set"), sets=True), PodPeer(app("e"))], "X .", "apart", id="... with another peer behind"),
    param(TWIN, [PodPeer(app("e")), PodPeer(app("set"), sets=True)], "X .", "apart", id="... or in front"),
    param(TWIN, [PodPeer(app("set"))], "X X", "together", id="a network set that no peer looks at"),
    param(TWIN | {"service_account": "robot"}, [PodPeer(app("b"))], ". .", "together", id="an account that no policy looks at"),
    param(TWIN | {"service_account": "robot"}, [PodPeer(app("b"), accounts=ROBOTS)], "X .", "apart", id="an account"),
    param(TWIN | {"service_account": "robot"}, [PodPeer(app("b"), accounts=ROBOTS), PodPeer(app("e"))], "X .", "apart", id="an account, in one peer of two"),
    param(TWIN | {"service_account": "robot"}, [PodPeer(Selector(expression=Requirement(CALICO_ACCOUNT, Operator.IN, ("robot",))))], "X .", "apart", id="an account by the label that Calico adds"),
    param(TWIN | {"labels": {"app": "b", "noise": "1"}}, [PodPeer(app("b"))], ". .", "together", id="a label that no policy looks at"),
    param(role("new"), [PodPeer(Selector.of({"role": "new"}))], "X .", "apart", id="a label"),
    param(role("new"), [PodPeer(Selector.of({"role": "new"}), EVERYTHING)], "X .", "apart", id="a label, in every namespace"),
    param(role("old"), [PodPeer(Selector.of({}, Requirement("role", Operator.EXISTS)))], "X .", "apart", id="a label with any value"),
    param(role("old"), [PodPeer(Selector(expression=ROLE_IN))], "X X", "apart", id="a label with a value that no policy looks at"),
    param(role("newer"), [PodPeer(Selector(expression=ValuePart("role", Part.START, "new")))], "X .", "apart", id="a part of a value"),
    param(role("new"), [ServicePeer(SERVICE.ref)], "X .", "apart", id="a Service in front of one"),
    param(role("new"), [NotPeer(AllPeers((ServicePeer(SERVICE.ref), PodPeer(app("b")))))], ". X", "apart", id="not a Service"),
    param(role("new"), [PodPeer(app("b"))], ". .", "together", id="a Service that no peer looks at"),
    param(TWIN | {"ports": WEB_80}, [PodPeer(app("b"))], ". .", "together", id="port names that no policy looks at"),
    param(TWIN | {"ready": False}, [PodPeer(app("b"))], ". .", "together", id="readiness"),
    param(TWIN | {"node": "n2", "node_addresses": ()}, [PodPeer(app("b"))], ". .", "together", id="nodes"),
]  # fmt: skip


def twins(differs: dict[str, Any], allowing: Policy) -> Cluster:
    twin = replace(X_B, **{"ref": replace(X_B.ref, name="t"), **differs})
    pods = {pod.ref: pod for pod in (*PODS, twin)}
    cluster = stage(allowing, pods=pods.values(), services=[SERVICE])
    return replace(cluster, network_sets=(SET,), service_accounts={("x", "robot"): {"trust": "high"}})


def groups(cluster: Cluster, profile: Profile = CALICO) -> str:
    evaluation = evaluate(cluster, profile)
    one, other = (ref for ref in cluster.pods if str(ref) in {"x/b", "x/t"})
    return "together" if evaluation.group_of(one) is evaluation.group_of(other) else "apart"


@pytest.mark.parametrize(("differs", "peers", "expected", "grouped"), PEER)
def test_as_peers(differs: dict[str, Any], peers: list[Peer], expected: str, grouped: str) -> None:
    cluster = twins(differs, policy("x/p", A, egress=[rule(peers)]))
    assert marks(cluster, ["x/a -> x/b 80", "x/a -> x/t 80"]) == expected
    assert groups(cluster) == grouped
    if "service_account" in differs:
        assert Vocabulary(cluster).by_account is (grouped == "apart")


SUBJECT = [
    param(TWIN, Subject(app("b")), "X X", "together", id="nothing"),
    param(role("new"), Subject(Selector.of({"role": "new"})), ". X", "apart", id="a label"),
    param(role("new"), Subject(Selector.of({"role": "new"}), EVERYTHING), ". X", "apart", id="a label, in every namespace"),
    param(TWIN | {"service_account": "robot"}, Subject(app("b"), accounts=ROBOTS), ". X", "apart", id="an account"),
]  # fmt: skip


@pytest.mark.parametrize(("differs", "subject", "expected", "grouped"), SUBJECT)
def test_as_subjects(differs: dict[str, Any], subject: Subject, expected: str, grouped: str) -> None:
    cluster = twins(differs, replace(policy("x/p", ingress=[]), subject=subject))
    assert marks(cluster, ["x/a -> x/b 80", "x/a -> x/t 80"]) == expected
    assert groups(cluster) == grouped


IN_SET = PodPeer(app("set"), sets=True)
PORT = [
    param([EVERYONE], NamedPort("web"), "X .", "apart", id="a name"),
    param([EVERYONE], NamedPort("dns", Protocol.UDP), "X X", "together", id="a name that both give to the same port"),
    param([EVERYONE], NamedPort("other"), "X X", "together", id="a name that neither has"),
    param([IN_SET, PodPeer(app("e"))], NamedPort("web"), "X X", "apart", id="a name is none of a set around a pod"),
    param([IN_SET, PodPeer(app("e"))], PortRange(), "X .", "apart", id="a number is"),
]  # fmt: skip


@pytest.mark.parametrize(("peers", "entry", "expected", "grouped"), PORT)
def test_by_ports(peers: list[Peer], entry: Port, expected: str, grouped: str) -> None:
    allowing = policy("x/p", A, egress=[rule(peers, [entry])])
    cluster = twins(TWIN | {"ports": WEB_80}, allowing)
    assert marks(cluster, ["x/a -> x/b 80", "x/a -> x/t 80"]) == expected
    assert groups(cluster) == grouped


def test_blocks_tell_no_pods_apart_where_they_do_not_match_pods() -> None:
    cluster = twins(TWIN, policy("x/p", A, egress=[rule([block("10.244.1.99/32")])]))
    assert [groups(cluster, profile) for profile in (CALICO, CILIUM)] == ["apart", "together"]
