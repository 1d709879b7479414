"""ClusterNetworkPolicy and its predecessors: what is read, what is refused, what fails closed."""

# ruff: noqa: E501  # a row of a table is a line

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import pytest
import yaml

from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import (
    ANY_PORT,
    Action,
    DomainPeer,
    NamedPort,
    Networks,
    NodePeer,
    OtherProtocol,
    PodPeer,
    Policy,
    PolicyRef,
    PortRange,
    Rule,
    Subject,
    UnknownPeer,
)
from netprobe.policies.fields import Decoder
from netprobe.policies.kinds import BY_KEY

param = pytest.param
CNP, ANP, BANP = "ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"
NAMED = {CNP: "p", ANP: "p", BANP: "default"}
WHOLE: Mapping[str, Mapping[str, Any]] = {
    CNP: {"tier": "Admin", "priority": 7, "subject": {"namespaces": {}}},
    ANP: {"priority": 7, "subject": {"namespaces": {}}},
    BANP: {"subject": {"namespaces": {}}},
}
TEAM = Selector.of({"team": "one"})


def read(kind: str, text: str, *, strict: bool = True) -> tuple[Policy | None, Decoder]:
    """The object of a spec in YAML, added to the smallest valid one."""
    spec = {**WHOLE[kind], **(yaml.safe_load(text) or {})}
    decoder = Decoder(strict=strict)
    obj = {"apiVersion": BY_KEY[kind].api_version, "kind": kind, "metadata": {"name": NAMED[kind]}}
    reader = BY_KEY[kind].read
    assert reader is not None
    found = reader(decoder, {**obj, "spec": spec})
    assert found is None or isinstance(found, Policy)
    return found, decoder


def rule(peer: str, action: str = "Accept", ports: str = "") -> str:
    return f"egress: [{{action: {action}, to: [{peer}]{', ' + ports if ports else ''}}}]"


READ = [
    param(CNP, rule("{namespaces: {matchLabels: {team: one}}}"), PodPeer(EVERYTHING, TEAM, sets=None)),
    param(CNP, rule("{pods: {podSelector: {matchLabels: {team: one}}}}"), PodPeer(TEAM, EVERYTHING)),
    param(ANP, rule("{pods: {podSelector: {}, namespaceSelector: {matchLabels: {team: one}}}}", "Allow"), PodPeer(EVERYTHING, TEAM)),
    param(CNP, rule("{nodes: {matchExpressions: [{key: a, operator: Exists}]}}"), NodePeer(Selector.of({}, Requirement("a", Operator.EXISTS)))),
    param(CNP, rule("{networks: [10.0.0.0/8, 'fd00::/8']}"), Networks((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))),
    param(ANP, rule("{networks: [10.1.0.0/8]}", "Allow"), Networks((ip_network("10.0.0.0/8"),))),
    param(CNP, rule("{domainNames: ['*.example.com', example.org]}"), DomainPeer(("*.example.com", "example.org"))),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "peer"), READ)
def test_a_peer(kind: str, text: str, peer: object) -> None:
    found, decoder = read(kind, text)
    assert decoder.errors == []
    assert found is not None
    assert found.egress == (Rule((peer,)),)  # type: ignore[arg-type]


PORTS = [
    param(CNP, "protocols: [{tcp: {destinationPort: {number: 80}}}]", PortRange(Protocol.TCP, 80, 80)),
    param(CNP, "protocols: [{udp: {destinationPort: {range: {start: 1, end: 2}}}}]", PortRange(Protocol.UDP, 1, 2)),
    param(CNP, "protocols: [{destinationNamedPort: web}]", NamedPort("web", None)),
    param(ANP, "ports: [{portNumber: {port: 80}}]", PortRange(Protocol.TCP, 80, 80)),
    param(ANP, "ports: [{portNumber: {port: 80, protocol: SCTP}}]", PortRange(Protocol.SCTP, 80, 80)),
    param(ANP, "ports: [{portRange: {start: 1, end: 2, protocol: UDP}}]", PortRange(Protocol.UDP, 1, 2)),
    param(ANP, "ports: [{portRange: {start: 3, end: 2}}]", PortRange(Protocol.TCP, 3, 2), id="no port at all"),
    param(ANP, "ports: [{portNumber: {port: 1, protocol: ICMP}}]", OtherProtocol("ICMP")),
    param(ANP, "ports: [{namedPort: web}]", NamedPort("web", None)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "port"), PORTS)
def test_a_port(kind: str, text: str, port: object) -> None:
    found, decoder = read(kind, rule("{namespaces: {}}", "Deny", text))
    assert decoder.errors == []
    assert found is not None
    assert found.egress is not None
    assert found.egress[0].ports == (port,)


def test_the_rest_of_a_policy() -> None:
    text = """
    tier: Baseline
    priority: 3
    subject: {pods: {podSelector: {matchLabels: {team: one}}}}
    ingress: [{name: first, action: Pass, from: [{namespaces: {}}]}]
    egress: []
    """
    found, decoder = read(CNP, text)
    assert decoder.errors == []
    peer = PodPeer(EVERYTHING, EVERYTHING, sets=None)
    ingress = (Rule((peer,), ANY_PORT, Action.PASS, name="first"),)
    ref = PolicyRef("", "p", CNP)
    assert found == Policy(ref, Subject(TEAM, EVERYTHING), ingress, None, tier="Baseline", order=3)


@pytest.mark.parametrize(
    ("kind", "tier", "order"), [(CNP, "Admin", 7), (ANP, "Admin", 7), (BANP, "Baseline", 0)]
)
def test_tier_and_priority(kind: str, tier: str, order: int) -> None:
    found, _ = read(kind, "")
    assert found is not None
    assert (found.tier, found.order) == (tier, order)


@pytest.mark.parametrize("kind", [CNP, ANP])
def test_a_policy_written_out_and_read_again_is_the_same(kind: str) -> None:
    accept, ports = ("Accept", "protocols") if kind == CNP else ("Allow", "ports")
    texts = [str(text.values[1]) for text in (*READ, *PORTS) if text.values[0] == kind and text.id is None]
    peers = [yaml.safe_load(t)["egress"][0] for t in texts if t.startswith("egress")]
    entries = [yaml.safe_load(t)[ports][0] for t in texts if t.startswith(ports)]
    entries = [entry for entry in entries if "ICMP" not in str(entry)]
    named = {"action": accept, "to": [{"namespaces": {}}], ports: entries, "name": "n"}
    found, decoder = read(kind, yaml.safe_dump({"egress": [*peers, named]}))
    assert decoder.errors == []
    assert found is not None
    dump = BY_KEY[kind].dump
    assert dump is not None
    again, decoder = read(kind, yaml.safe_dump(dump(found)["spec"]))
    assert (again, decoder.errors) == (found, [])


MANY = ", ".join(["{namespaces: {}}"] * 26)
REFUSED = [
    param(CNP, "tier: null", "spec.tier: Required value"),
    param(CNP, rule("{namespaces: null}"), "spec.egress[0].to[0]: Invalid value: 0: must have at least 1 field"),
    param(CNP, rule("{namespaces: null, nodes: {}}"), "", id="a field that is null is absent"),
    param(CNP, rule("null"), "spec.egress[0].to[0]: Invalid value: null: null is not allowed here"),
    param(CNP, "subject: {namespaces: {matchLabels: {a: null}}}", "", id="a label that is null is dropped, so this selects everything"),
    param(CNP, "tier: admin", 'spec.tier: Unsupported value: "admin": supported values: "Admin", "Baseline"'),
    param(CNP, "priority: 1001", "spec.priority: Invalid value: 1001: must be between 0 and 1000, inclusive"),
    param(CNP, "priority: -1", "spec.priority: Invalid value: -1: must be between 0 and 1000, inclusive"),
    param(CNP, "priority: '5'", 'spec.priority: Invalid value: "5": must be an integer of 32 bits, not a string'),
    param(CNP, "subject: {}", "spec.subject: Invalid value: 0: must have at least 1 field"),
    param(CNP, "subject: {namespaces: {}, pods: {podSelector: {}}}", "spec.subject: Too many: 2: must have at most 1 field"),
    param(CNP, "subject: {pods: {}}", "spec.subject.pods.podSelector: Required value"),
    param(ANP, "subject: {pods: {podSelector: {}}}", "spec.subject.pods.namespaceSelector: Required value"),
    param(CNP, "ingres: []", 'spec.ingres: unknown field "spec.ingres"'),
    param(CNP, rule("{namespaces: {}}", "accept"), 'spec.egress[0].action: Unsupported value: "accept": supported values: "Accept", "Deny", "Pass"'),
    param(ANP, rule("{namespaces: {}}", "Accept"), 'spec.egress[0].action: Unsupported value: "Accept": supported values: "Allow", "Deny", "Pass"'),
    param(BANP, rule("{namespaces: {}}", "Pass"), 'spec.egress[0].action: Unsupported value: "Pass": supported values: "Allow", "Deny"'),
    param(CNP, "egress: [{to: [{namespaces: {}}]}]", "spec.egress[0].action: Required value"),
    param(CNP, "egress: [{action: Deny}]", "spec.egress[0].to: Required value"),
    param(CNP, "ingress: [{action: Deny, to: [{namespaces: {}}]}]", 'spec.ingress[0].to: unknown field "spec.ingress[0].to"|spec.ingress[0].from: Required value'),
    param(CNP, "egress: [{action: Deny, to: []}]", "spec.egress[0].to: Invalid value: 0: must have at least 1 item"),
    param(CNP, f"egress: [{{action: Deny, to: [{MANY}]}}]", "spec.egress[0].to: Too many: 26: must have at most 25 items"),
    param(ANP, f"egress: [{{action: Deny, to: [{MANY}]}}]", "", id="v1alpha1: up to 100"),
    param(CNP, f"ingress: [{', '.join(['{action: Deny, from: [{namespaces: {}}]}'] * 26)}]", "spec.ingress: Too many: 26: must have at most 25 items"),
    param(CNP, "ingress:", "", id="a list that is null is absent"),
    param(CNP, f"egress: [{{name: {'n' * 101}, action: Deny, to: [{{namespaces: {{}}}}]}}]", "spec.egress[0].name: Too many: 101: must have at most 100 characters"),
    param(CNP, rule("{}"), "spec.egress[0].to[0]: Invalid value: 0: must have at least 1 field"),
    param(CNP, rule("{namespaces: {}, nodes: {}}"), "spec.egress[0].to[0]: Too many: 2: must have at most 1 field"),
    param(CNP, "ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]", 'spec.ingress[0].from[0].networks: unknown field "spec.ingress[0].from[0].networks"|spec.ingress[0].from[0]: Invalid value: 0: must have at least 1 field'),
    param(BANP, rule("{domainNames: [example.com]}", "Deny"), 'spec.egress[0].to[0].domainNames: unknown field "spec.egress[0].to[0].domainNames"|spec.egress[0].to[0]: Invalid value: 0: must have at least 1 field'),
    param(CNP, rule("{networks: [10.0.0.1/8]}"), 'spec.egress[0].to[0].networks[0]: Invalid value: "10.0.0.1/8": must be a network without host bits, such as 10.0.0.0/8'),
    *(
        param(CNP, rule(f"{{networks: ['{text}']}}"), f'spec.egress[0].to[0].networks[0]: Invalid value: "{text}": must be a network without host bits, such as 10.0.0.0/8')
        for text in ("10.0.0.0", "10.0.0.0/33", "010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/255.0.0.0", "::ffff:10.0.0.0/104", "fd00::%eth0/64", "fd00::1/64")
    ),
    param(CNP, rule("{networks: [10.0.0.0/8, 10.0.0.0/8]}"), 'spec.egress[0].to[0].networks[1]: Duplicate value: "10.0.0.0/8"'),
    param(CNP, rule("{domainNames: [com]}"), None, id="a name needs a dot"),
    param(CNP, rule("{domainNames: ['www.*.com']}"), None, id="a star only in front"),
    param(CNP, rule("{namespaces: {}}", "Deny", "protocols: [{tcp: {}}]"), "spec.egress[0].protocols[0].tcp: Invalid value: 0: must have at least 1 field"),
    param(CNP, rule("{namespaces: {}}", "Deny", "protocols: [{icmp: {}}]"), None),
    param(CNP, rule("{namespaces: {}}", "Deny", "protocols: [{tcp: {destinationPort: {}}}]"), "spec.egress[0].protocols[0].tcp.destinationPort: Invalid value: 0: must have at least 1 field"),
    param(CNP, rule("{namespaces: {}}", "Deny", "protocols: [{tcp: {destinationPort: {number: 0}}}]"), "spec.egress[0].protocols[0].tcp.destinationPort.number: Invalid value: 0: must be between 1 and 65535, inclusive"),
    *(
        param(CNP, rule("{namespaces: {}}", "Deny", f"protocols: [{{tcp: {{destinationPort: {{range: {{start: {a}, end: {b}}}}}}}}}]"), None, id=f"a range of {a} to {b}")
        for a, b in ((81, 80), (80, 80))
    ),
    param(CNP, rule("{namespaces: {}}", "Deny", "protocols: []"), "spec.egress[0].protocols: Invalid value: 0: must have at least 1 item"),
    param(CNP, rule("{networks: [10.0.0.0/8]}", "Deny", "protocols: [{destinationNamedPort: web}]"), None),
    param(ANP, rule("{nodes: {}}", "Deny", "ports: [{namedPort: web}]"), None),
    param(CNP, rule("{namespaces: {}}", "Deny", "ports: [{namedPort: web}]"), 'spec.egress[0].ports: unknown field "spec.egress[0].ports"'),
    param(CNP, "subject: {namespaces: {matchExpressions: [{key: a, operator: in, values: [b]}]}}", 'spec.subject.namespaces.matchExpressions[0].operator: Invalid value: "in": not a valid selector operator'),
    param(CNP, "subject: {namespaces: {matchExpressions: [{key: a}]}}", "spec.subject.namespaces.matchExpressions[0].operator: Required value"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "errors"), REFUSED)
def test_what_a_definition_refuses(kind: str, text: str, errors: str | None) -> None:
    found, decoder = read(kind, text)
    texts = "|".join(map(str, decoder.errors))
    assert texts == errors if errors is not None else texts
    assert (found is None) is bool(texts)


def test_all_problems_at_once() -> None:
    text = f"priority: -1\nsubject: {{}}\n{rule('{networks: [10.0.0.1/8]}', 'Drop')}"
    assert [error.path for error in read(CNP, text)[1].errors] == [
        "spec.priority",
        "spec.subject",
        "spec.egress[0].action",
        "spec.egress[0].to[0].networks[0]",
    ]


METADATA = [
    param(CNP, {"name": "p", "namespace": "x"}, "metadata.namespace: Forbidden: ClusterNetworkPolicy has no namespace"),
    param(CNP, {"name": "P"}, None, id="a name in capitals"),
    param(CNP, {}, "metadata.name: Required value: name or generateName is required"),
    param(BANP, {"name": "other"}, 'metadata.name: Invalid value: "other": there is only one in a cluster, and its name is default'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "metadata", "error"), METADATA)
def test_names(kind: str, metadata: Mapping[str, str], error: str | None) -> None:
    decoder, reader = Decoder(), BY_KEY[kind].read
    assert reader is not None
    assert reader(decoder, {"metadata": metadata, "spec": WHOLE[kind]}) is None
    assert len(decoder.errors) == 1
    assert error in {None, str(decoder.errors[0])}


@pytest.mark.parametrize("root", [{}, {"spec": None}, {"spec": []}], ids=str)
def test_an_object_without_a_spec(root: Mapping[str, Any]) -> None:
    decoder, reader = Decoder(), BY_KEY[CNP].read
    assert reader is not None
    assert reader(decoder, {"metadata": {"name": "p"}, **root}) is None
    assert [error.path for error in decoder.errors] == ["spec"]


LIVE = [
    param(rule("{future: {}}"), UnknownPeer("future"), 0, id="a peer of a newer definition"),
    param(rule("{namespaces: {matchExpressions: [{key: a, operator: in}]}}"), UnknownPeer("namespaces"), 1, id="a selector that nobody understands"),
    param(rule("{pods: {podSelector: {matchLabels: {'b a d': x}}}}"), UnknownPeer("pods"), 1, id="... of pods"),
    param(rule("{networks: [nonsense]}"), UnknownPeer("networks"), 1, id="no network"),
    param(rule("{networks: [10.1.0.0/8]}"), Networks((ip_network("10.0.0.0/8"),)), 0, id="host bits"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "peer", "warnings"), LIVE)
def test_a_live_object_fails_closed(text: str, peer: object, warnings: int) -> None:
    found, decoder = read(CNP, text, strict=False)
    assert decoder.errors == []
    assert len(decoder.warnings) == warnings
    assert found is not None
    assert found.egress is not None
    assert found.egress[0].peers == (peer,)


def test_a_live_rule_with_an_unknown_action_denies_everything() -> None:
    found, decoder = read(CNP, rule("{namespaces: {}}", "Audit"), strict=False)
    assert found is not None
    assert found.egress == (Rule((UnknownPeer("action"),), action=Action.DENY),)
    assert [warning.path for warning in decoder.warnings] == ["spec.egress[0].action"]


def test_a_live_policy_with_an_unknown_subject_has_no_effect() -> None:
    found, decoder = read(CNP, "subject: {future: {}}", strict=False)
    assert found is None
    assert (decoder.errors, [warning.path for warning in decoder.warnings]) == ([], ["spec.subject"])
