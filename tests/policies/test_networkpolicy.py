"""NetworkPolicy to record and back: defaults, and the three things absent, empty and catch-all."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
import yaml

from netprobe.errors import InputError
from netprobe.manifests import Document, parse_policy
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import (
    AnyPeer,
    IPBlock,
    NamedPort,
    Origin,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
)
from netprobe.policies.networkpolicy import dump_policy, validate_policy


def policy(spec: str) -> Policy:
    obj = {"kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": yaml.safe_load(spec)}
    return parse_policy(Document(Origin("m.yaml", 1), obj))


OPEN = (Rule(),)
DIRECTIONS = {
    "{}": ((), None),
    "{policyTypes: []}": ((), None),
    "{ingress: []}": ((), None),
    "{ingress: [{}]}": (OPEN, None),
    "{ingress: [null]}": (OPEN, None),
    "{egress: []}": ((), None),  # needs an explicit policyTypes
    "{egress: [{}]}": ((), OPEN),
    "{policyTypes: [Ingress], egress: [{}]}": ((), None),
    "{policyTypes: [Egress]}": (None, ()),
    "{policyTypes: [Egress], ingress: [{}]}": (None, ()),
    "{policyTypes: [Ingress, Egress]}": ((), ()),
    "{ingress: [{from: [], ports: []}]}": (OPEN, None),
}


@pytest.mark.parametrize(("spec", "directions"), DIRECTIONS.items())
def test_directions(spec: str, directions: tuple[tuple[Rule, ...] | None, tuple[Rule, ...] | None]) -> None:
    found = policy(spec)
    assert (found.ingress, found.egress) == directions
    assert found.subject.pods == EVERYTHING


PEERS: dict[str, Peer] = {
    "{podSelector: {}}": PodPeer(EVERYTHING, None),
    "{namespaceSelector: {}}": PodPeer(EVERYTHING, EVERYTHING),
    "{podSelector: {matchLabels: {a: b}}, namespaceSelector: {matchLabels: {c: d}}}": PodPeer(
        Selector.of({"a": "b"}), Selector.of({"c": "d"})
    ),
    "{podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [b, c]}]}}": PodPeer(
        Selector.of(None, Requirement("a", Operator.NOT_IN, ("b", "c")))
    ),
    "{ipBlock: {cidr: 10.1.2.3/8, except: [10.1.0.0/16]}}": IPBlock(
        ip_network("10.0.0.0/8"), (ip_network("10.1.0.0/16"),)
    ),
}
PORTS: dict[str, Port] = {
    "{}": PortRange(Protocol.TCP),
    "{protocol: UDP}": PortRange(Protocol.UDP),
    "{port: 80}": PortRange(Protocol.TCP, 80, 80),
    "{port: 80, endPort: 90, protocol: SCTP}": PortRange(Protocol.SCTP, 80, 90),
    "{port: http}": NamedPort("http", Protocol.TCP),
}


@pytest.mark.parametrize(("peer", "expected"), PEERS.items())
def test_peers(peer: str, expected: Peer) -> None:
    assert policy(f"{{ingress: [{{from: [{peer}]}}]}}").ingress == (Rule((expected,)),)


@pytest.mark.parametrize(("port", "expected"), PORTS.items())
def test_ports(port: str, expected: Port) -> None:
    assert policy(f"{{egress: [{{ports: [{port}]}}]}}").egress == (Rule(ports=(expected,)),)


EVERYTHING_AT_ONCE = [
    *DIRECTIONS,
    f"{{podSelector: {{matchLabels: {{a: ''}}}}, ingress: [{{from: [{', '.join(PEERS)}]}}]}}",
    f"{{egress: [{{to: [{next(iter(PEERS))}], ports: [{', '.join(PORTS)}]}}]}}",
]


@pytest.mark.parametrize("spec", EVERYTHING_AT_ONCE)
def test_what_is_written_back_is_valid_and_means_the_same(spec: str) -> None:
    found = policy(spec)
    written = dump_policy(found)
    assert validate_policy(written) == []
    assert parse_policy(Document(Origin("", 1), written)) == found


def test_a_policy_that_no_manifest_can_say() -> None:
    with pytest.raises(ValueError, match="a/p applies to no direction"):
        dump_policy(Policy(PolicyRef("a", "p")))


def test_the_catch_all_peer_is_written_by_leaving_peers_out() -> None:
    rule = Rule((AnyPeer(),), (PortRange(Protocol.TCP, 1, 65535),))
    written = dump_policy(Policy(PolicyRef("a", "p"), ingress=(rule,)))
    assert written["spec"]["ingress"] == [{"ports": [{"protocol": "TCP"}]}]


def test_namespace_and_origin() -> None:
    document = Document(Origin("m.yaml", 7), {"metadata": {"name": "p"}, "status": {}})
    found = parse_policy(document, namespace="production")
    assert found.ref == PolicyRef("production", "p")
    assert str(found.origin) == "m.yaml:7"


def test_all_that_is_wrong_is_told() -> None:
    document = Document(Origin("m.yaml", 7), {"metadata": {}, "spec": {"policyTypes": ["x"]}})
    with pytest.raises(InputError) as caught:
        parse_policy(document)
    assert [problem.path for problem in caught.value.problems] == ["metadata.name", "spec.policyTypes[0]"]
