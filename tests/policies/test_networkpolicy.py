"""NetworkPolicy to record and back, and its validation.

Defaults are in tests/semantics/test_manifests.py, from the manifest to the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

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
from netprobe.policies.fields import FieldError
from netprobe.policies.networkpolicy import dump_policy
from tests.policies.reading import validate_policy


def document(obj: Mapping[str, Any], line: int = 1) -> Document:
    typed = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **obj}
    return Document(Origin("m.yaml", line), typed)


def policy(spec: str) -> Policy:
    return parse_policy(document({"metadata": {"name": "p"}, "spec": yaml.safe_load(spec)}))


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


WRITTEN_BACK = [
    "{}",
    "{ingress: [{}]}",
    "{policyTypes: [Egress]}",
    "{policyTypes: [Ingress, Egress], egress: [{}]}",
    f"{{podSelector: {{matchLabels: {{a: ''}}}}, ingress: [{{from: [{', '.join(PEERS)}]}}]}}",
    f"{{egress: [{{to: [{next(iter(PEERS))}], ports: [{', '.join(PORTS)}]}}]}}",
]


@pytest.mark.parametrize("spec", WRITTEN_BACK)
def test_what_is_written_back_is_valid_and_means_the_same(spec: str) -> None:
    found = policy(spec)
    written = dump_policy(found)
    assert validate_policy(written) == []
    assert parse_policy(document(written)) == found


def test_a_policy_without_a_direction_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="a/p applies to no direction"):
        dump_policy(Policy(PolicyRef("a", "p")))


def test_the_catch_all_peer_is_written_by_leaving_peers_out() -> None:
    rule = Rule((AnyPeer(),), (PortRange(Protocol.TCP, 1, 65535),))
    written = dump_policy(Policy(PolicyRef("a", "p"), ingress=(rule,)))
    assert written["spec"]["ingress"] == [{"ports": [{"protocol": "TCP"}]}]


def test_namespace_and_origin() -> None:
    found = parse_policy(document({"metadata": {"name": "p"}, "status": {}}, 7), namespace="production")
    assert found.ref == PolicyRef("production", "p")
    assert str(found.origin) == "m.yaml:7"


def test_all_that_is_wrong_is_reported() -> None:
    with pytest.raises(InputError) as caught:
        parse_policy(document({"metadata": {}, "spec": {"policyTypes": ["x"]}}))
    assert [problem.path for problem in caught.value.problems] == ["metadata.name", "spec.policyTypes[0]"]


ACCEPTED = [  # tests/corpus/validation has many specs, with the answers of a real server
    "spec:",
    "metadata: {name: a.b-c, generateName: x-, labels: {example.com/a: ''}}",
    "metadata: {generateName: x-}",
    "metadata: {name: p, annotations: {EXAMPLE.com/a: anything at all}, creationTimestamp: null}",
]
REFUSED = {
    "metadata:": ["metadata.name"],
    "metadata: {name: p, annotations: {a/b/c: ''}}": ["metadata.annotations"],
    "spec: 7": ["spec"],
    "spec: {ingress: [{ports: [{port: 1.5}, {port: true}, {port: a, endPort: 1}, {endPort: x}]}]}": [
        "spec.ingress[0].ports[0].port",
        "spec.ingress[0].ports[1].port",
        "spec.ingress[0].ports[2].endPort",
        "spec.ingress[0].ports[3].endPort",
    ],
}


def errors(text: str, *, strict: bool = True) -> list[FieldError]:
    return validate_policy({"metadata": {"name": "p"}, **yaml.safe_load(text)}, strict=strict)


def test_what_is_accepted_and_every_field_that_is_refused() -> None:
    expected: dict[str, list[str]] = {text: [] for text in ACCEPTED} | REFUSED
    found = {text: list(dict.fromkeys(error.path for error in errors(text))) for text in expected}
    assert found == expected


def test_unknown_fields_are_errors_under_strict_validation_only() -> None:
    text = "{spec: {podselector: {}}, status: {}}"
    assert [(error.path, error.hint) for error in errors(text)] == [
        ("status", ""),
        ("spec.podselector", "did you mean podSelector?"),
    ]
    assert errors(text, strict=False) == []


def test_the_type_is_the_reason_in_the_server_s_status() -> None:
    found = validate_policy({"spec": {"policyTypes": ["x"], "ingress": 1, "more": 2}})
    assert {error.type for error in found} == {
        "FieldValueRequired",
        "FieldValueNotSupported",
        "FieldValueTypeInvalid",
        "UnknownField",
    }
