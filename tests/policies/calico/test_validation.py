"""What is wrong with objects of Calico, in files and live clusters, for both API groups."""

from __future__ import annotations

import pytest

from netprobe.model.policy import Action, Networks, Policy, PolicyRef, Rule, Unsimulated
from tests.policies.calico.objects import CRD, V3, calico, read, wrong

NETWORK_POLICY = [  # spec, what is wrong in both groups; "3" in front: only in projectcalico.org/v3
    ("{}", []),
    ("{ingress: [{action: Allow}], types: [Ingress, Egress], order: -1.5, tier: t1}", []),
    ("{ingress: [{action: allow}]}", ['spec.ingress[0].action: Unsupported value: "allow"']),
    ("{ingress: [{}]}", ["spec.ingress[0].action: Required value"]),
    ("{ingress: [{action: Allow, protocol: tcp}]}", ["3spec.ingress[0].protocol: Unsupported value"]),
    ("{ingress: [{action: Allow, protocol: HTTP}]}", ["spec.ingress[0].protocol: Unsupported value"]),
    ("{ingress: [{action: Allow, protocol: 0}]}", ["spec.ingress[0].protocol: Invalid value: 0"]),
    ("{ingress: [{action: Allow, protocol: 256}]}", ["spec.ingress[0].protocol: Invalid value: 256"]),
    ("{ingress: [{action: Allow, protocol: '47'}]}", []),
    ("{ingress: [{action: Allow, destination: {ports: [80]}}]}", ["spec.ingress[0].destination.ports: Forb"]),
    ("{ingress: [{action: Allow, destination: {ports: [web]}}]}", []),
    (
        "{ingress: [{action: Allow, protocol: ICMP, destination: {notPorts: [web]}}]}",
        ["spec.ingress[0].destination.notPorts: Forbidden: ICMP has no ports"],
    ),
    (
        "{egress: [{action: Deny, protocol: TCP, destination: {ports: [0, '9:8', 70000, 'Web', '1:2:3']}}]}",
        [
            "spec.egress[0].destination.ports[0]: Invalid value: 0: must be between",
            'spec.egress[0].destination.ports[1]: Invalid value: "9:8": the range is reversed: write "8:9"',
            "spec.egress[0].destination.ports[2]: Invalid value: 70000: must be between",
            'spec.egress[0].destination.ports[3]: Invalid value: "Web": must contain only',
            'spec.egress[0].destination.ports[4]: Invalid value: "1:2:3": must contain only',
            'spec.egress[0].destination.ports[4]: Invalid value: "1:2:3": must contain at least one letter',
        ],
    ),
    ("{selector: 'role = 1'}", ['spec.selector: Invalid value: "role = 1": column 6: expected ==']),
    ("{selector: 'global()'}", ['3spec.selector: Invalid value: "global()": global() can only be used']),
    (
        "{ingress: [{action: Allow, source: {namespaceSelector: 'global() && has(a)'}}]}",
        ["3spec.ingress[0].source.namespaceSelector: Invalid value"],
    ),
    ("{ingress: [{action: Allow, source: {namespaceSelector: ' global() '}}]}", []),
    (
        "{ingress: [{action: Allow, source: {nets: [10.0.0.1/8]}}]}",
        ['3spec.ingress[0].source.nets[0]: Invalid value: "10.0.0.1/8": has host bits set: write 10.0.0.0/8'],
    ),
    (
        "{ingress: [{action: Allow, source: {nets: [10.0.0.1]}}]}",
        ['3spec.ingress[0].source.nets[0]: Invalid value: "10.0.0.1": must be a CIDR: write 10.0.0.1/32'],
    ),
    ("{ingress: [{action: Allow, source: {nets: [10.0.0.0/33]}}]}", ["spec.ingress[0].source.nets[0]: Inv"]),
    ("{ingress: [{action: Allow, source: {nets: [10.0.0.010/32]}}]}", ["spec.ingress[0].source.nets[0]: I"]),
    (
        "{ingress: [{action: Allow, source: {nets: [10.0.0.0/8, 10.0.0.0/8]}}]}",
        ['spec.ingress[0].source.nets[1]: Duplicate value: "10.0.0.0/8"'],
    ),
    (
        "{ingress: [{action: Allow, source: {nets: [10.0.0.0/8]}, destination: {notNets: ['fd00::/8']}}]}",
        ["3spec.ingress[0].destination.notNets: Forbidden: a rule may not mix IPv4 and IPv6"],
    ),
    (
        "{ingress: [{action: Allow, ipVersion: 6, source: {nets: [10.0.0.0/8]}}]}",
        ["3spec.ingress[0].source.nets: Forbidden: the rule is for IPv6"],
    ),
    ("{ingress: [{action: Allow, ipVersion: 5}]}", ["spec.ingress[0].ipVersion: Invalid value: 5"]),
    (
        "{ingress: [{action: Allow, source: {notNets: [0.0.0.0/0]}}]}",
        ["3spec.ingress[0].source.notNets: Invalid value"],
    ),
    ("{types: [ingress]}", ['spec.types[0]: Unsupported value: "ingress"']),
    ("{types: [Ingress, Ingress]}", ['spec.types[1]: Duplicate value: "Ingress"']),
    ("{order: first}", ['spec.order: Invalid value: "first": must be a number, not a string']),
    ("{order: .nan}", ["spec.order: Invalid value"]),
    ("{podSelector: {}}", ['spec.podSelector: unknown field "spec.podSelector"']),
    ("{namespaceSelector: all()}", ['spec.namespaceSelector: unknown field "spec.namespaceSelector"']),
    (
        "{ingress: [{action: Allow, from: []}]}",
        ['spec.ingress[0].from: unknown field "spec.ingress[0].from"'],
    ),
    ("{ingress: [{action: Allow, icmp: {type: 8}}]}", ["3spec.ingress[0].icmp: Forbidden: needs `protocol`"]),
    ("{ingress: [{action: Allow, protocol: ICMP, icmp: {code: 0}}]}", ["spec.ingress[0].icmp.code: Invalid"]),
    (
        "{ingress: [{action: Allow, protocol: ICMPv6, ipVersion: 4, icmp: {type: 255}}]}",
        ["3spec.ingress[0].ipVersion: Invalid value", "spec.ingress[0].icmp.type: Invalid value: 255"],
    ),
    ("{ingress: [{action: Deny, http: {methods: [GET]}}]}", ["spec.ingress[0].http: Forbidden: only rules"]),
    ("{egress: [{action: Allow, http: {}}]}", ["3spec.egress[0].http: Forbidden: only ingress rules"]),
    (
        "{egress: [{action: Allow, source: {services: {name: s}}}]}",
        ["3spec.egress[0].source.services: Forbidden: only the destination of an egress rule"],
    ),
    (
        "{egress: [{action: Allow, protocol: TCP, destination: {services: {name: s}, ports: [80]}}]}",
        ["spec.egress[0].destination.ports: Forbidden: may not be used together with `services`"],
    ),
    (
        "{egress: [{action: Allow, destination: {services: {}, selector: all()}}]}",
        [
            "3spec.egress[0].destination.services.name: Required value",
            "3spec.egress[0].destination.selector: Forbidden",
        ],
    ),
    (
        "{ingress: [{action: Allow, source: {serviceAccounts: {names: [a, a], selector: '!'}}}]}",
        [
            "spec.ingress[0].source.serviceAccounts.names[1]: Duplicate value",
            'spec.ingress[0].source.serviceAccounts.selector: Invalid value: "!": column 2: expected a label',
        ],
    ),
    ("{performanceHints: [Fast]}", ["spec.performanceHints[0]: Unsupported value"]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "expected"), NETWORK_POLICY, ids=[spec for spec, _ in NETWORK_POLICY])
def test_a_network_policy_in_a_file(spec: str, expected: list[str]) -> None:
    for version in (V3, CRD):
        found = wrong(calico("NetworkPolicy", spec, version=version))
        awaited = [text.removeprefix("3") for text in expected if version == V3 or not text.startswith("3")]
        assert len(found) == len(awaited), (version, found)
        assert all(map(str.startswith, sorted(found), sorted(awaited))), (version, found)


OTHERS = [
    ("GlobalNetworkPolicy", "{namespaceSelector: 'has(a)', applyOnForward: true}", []),
    (
        "GlobalNetworkPolicy",
        "{doNotTrack: true, preDNAT: true, egress: [{action: Allow}], types: [Egress]}",
        ["spec.preDNAT", "spec.applyOnForward", "spec.egress", "spec.types"],
    ),
    (
        "GlobalNetworkPolicy",
        "{egress: [{action: Allow, destination: {services: {name: s}}}]}",
        ["spec.egress[0].destination.services.namespace: Required value"],
    ),
    ("Tier", "{order: 5, defaultAction: Pass}", []),
    ("Tier", "{}", []),
    ("Tier", "{defaultAction: Allow}", ['spec.defaultAction: Unsupported value: "Allow"']),
    ("Tier", "{order: 1, pass: true}", ["spec.pass: unknown field"]),
    ("NetworkSet", "{nets: [10.0.0.1/8, 10.0.0.1, 'fd00::1']}", []),
    ("GlobalNetworkSet", "{nets: [example.com]}", ['spec.nets[0]: Invalid value: "example.com": must be a']),
    ("StagedNetworkPolicy", "{stagedAction: set}", ['spec.stagedAction: Unsupported value: "set"']),
    ("StagedNetworkPolicy", "{stagedAction: Delete, order: 1}", ["spec.order: Forbidden: must be absent"]),
    ("StagedNetworkPolicy", "{stagedAction: Delete, tier: t1}", []),
    ("StagedGlobalNetworkPolicy", "{stagedAction: Learn, selector: '('}", ["spec.selector: Invalid value"]),
    ("StagedKubernetesNetworkPolicy", "{podSelector: {}, policyTypes: [Egress]}", []),
    ("StagedKubernetesNetworkPolicy", "{selector: all()}", ["spec.selector: unknown field"]),
]


@pytest.mark.parametrize(
    ("kind", "spec", "expected"), OTHERS, ids=[f"{kind} {spec}" for kind, spec, _ in OTHERS]
)
def test_other_kinds_in_a_file(kind: str, spec: str, expected: list[str]) -> None:
    found = wrong(calico(kind, spec))
    assert len(found) == len(expected), found
    assert all(map(str.startswith, found, expected)), found


NAMES = [  # kind, version, name, whether it is valid
    ("NetworkPolicy", V3, "t1.p", True),
    ("NetworkPolicy", V3, "a.b.c", False),
    ("NetworkPolicy", V3, "knp.default.a.b", True),
    ("NetworkPolicy", CRD, "a.b.c", True),
    ("Tier", V3, "t1.x", False),
    ("Tier", CRD, "t1", True),
    ("GlobalNetworkPolicy", CRD, "Web", False),
]


@pytest.mark.parametrize(("kind", "version", "name", "valid"), NAMES)
def test_names(kind: str, version: str, name: str, valid: bool) -> None:
    assert bool(wrong(calico(kind, "{}", version=version, name=name))) is not valid


def test_the_tiers_of_calico_are_fixed() -> None:
    assert wrong(calico("Tier", "{order: 1, defaultAction: Deny}", name="kube-admin")) == [
        'spec.defaultAction: Invalid value: "Deny": the tier kube-admin must have Pass',
        "spec.order: Invalid value: 1: the tier kube-admin must have 1000",
    ]
    assert wrong(calico("Tier", "{order: 1}", name="default", version=CRD)) == []


LIVE = [  # spec of a live NetworkPolicy of crd.projectcalico.org/v1; its ingress rules; the warning
    ("{selector: '=='}", None, "Calico ignores the whole object"),
    ("{ingress: [{action: Allow, protocol: HTTP}]}", None, "Calico ignores the whole object"),
    ("{ingress: [{action: Allow, destination: {ports: [80]}}]}", None, "Calico ignores the whole object"),
    ("{ingress: [{action: Allow, source: {nets: [x]}}]}", (Rule(),), "Calico goes on without it"),
    ("{ingress: [{action: Allow, protocol: TCP, http: {}}]}", ..., "not evaluated"),
    ("{ingress: [{action: Allow, since: 2031}]}", (Rule(),), ""),
]


@pytest.mark.parametrize(("spec", "rules", "warning"), LIVE)
def test_a_live_object_is_read_as_felix_treats_it(spec: str, rules: object, warning: str) -> None:
    record, decoder = read(calico("NetworkPolicy", spec, version=CRD), strict=False)
    assert not decoder.errors
    assert [warning in error.message for error in decoder.warnings] == ([True] if warning else [])
    if rules is None:
        assert record is None
    else:
        assert isinstance(record, Policy)
        assert rules is ... or record.ingress == rules


def test_a_set_with_a_net_that_is_none_keeps_the_others() -> None:
    record, decoder = read(calico("NetworkSet", "{nets: [x, 10.0.0.1/8]}", version=CRD), strict=False)
    assert [str(net) for net in getattr(record, "networks", ())] == ["10.0.0.0/8"]
    assert [error.path for error in decoder.warnings] == ["spec.nets[0]"]


def test_a_policy_for_hosts_is_reported_and_decides_nothing() -> None:
    record, decoder = read(calico("GlobalNetworkPolicy", "{preDNAT: true, applyOnForward: true}"))
    assert record == Unsimulated(PolicyRef("", "p", "GlobalNetworkPolicy"), hosts=True)
    assert not decoder.errors


def test_a_rule_of_one_family_does_not_exist_for_the_other() -> None:
    spec = "{ingress: [{action: Deny, source: {notNets: [10.0.0.0/8]}}]}"
    record, _ = read(calico("NetworkPolicy", spec))
    assert isinstance(record, Policy)
    [rule] = record.ingress or ()
    [peer] = rule.peers
    assert isinstance(peer, Networks)
    assert [str(cidr) for cidr in peer.cidrs] == ["0.0.0.0/0"]
    assert rule.action is Action.DENY
