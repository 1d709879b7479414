"""What a user reads about a refused field: what to write instead."""

from __future__ import annotations

import pytest

from tests.manifests.conftest import Problems

POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"

HINTS = [  # what follows the metadata, a part of the message
    (
        "spec: {ingress: [{namespaceSelector: {}}]}",
        "put it under `from:`; without it, the rule admits everyone",
    ),
    (
        "spec: {egress: [{podSelector: {}}]}",
        "put it under `to:`; without it, the rule is for every destination",
    ),
    ("spec: {egress: [{cidr: 10.0.0.0/8}]}", "put it under `to:`, in an `ipBlock:`"),
    ("spec: {ingress: [{port: 80}]}", "put it under `ports:`"),
    ("spec: {ingress: [{to: []}]}", "a rule of `ingress:` has `from:` instead"),
    ("spec: {egress: [{from: []}]}", "a rule of `egress:` has `to:` instead"),
    (
        "spec: {ingress: [{from: [{from: [], ports: []}]}]}",
        "this is a rule, not a peer: move it one level up",
    ),
    ("spec: {ingress: [{from: [{ports: []}]}]}", "move it one level up, to `ingress:`"),
    ("spec: {ingress: [{from: [{cidr: 10.0.0.0/8}]}]}", "put it under `ipBlock:`"),
    (
        "spec: {ingress: [{from: [{podSelector: {}, port: 80}]}]}",
        "under `ports:` of the rule, next to `from:`",
    ),
    ("spec: {ingress: [{from: [{matchLabels: {}}]}]}", "put it under `podSelector:` or `namespaceSelector:`"),
    ("spec: {ingress: [{from: [{app: web}]}]}", "put it under `podSelector:` and `matchLabels:`"),
    (
        "spec: {ingress: [{from: [{namespace: shop}]}]}",
        "write `namespaceSelector:` with the label kubernetes.io/metadata.name",
    ),
    ("spec: {podSelector: {app: web}}", "put it under `matchLabels:`"),
    ("spec: {podSelector: {app.kubernetes.io/name: web}}", "put it under `matchLabels:`"),
    ("spec: {podSelector: {}, matchLabels: {}}", "put it under `podSelector:`"),
    ("spec: {from: []}", "put it in a rule, under `ingress:`"),
    ("spec: {podselector: {}}", "did you mean podSelector?"),
    ("podSelector: {}", "put it under `spec:`"),
    ("labels: {}", "put it under `metadata:`"),
    ("spec: {ingress: [{ports: [{targetPort: 80}]}]}", "write `port:`"),
    ("spec: {podSelector: {matchLabels: {a: yes}}}", "`yes` is read as true: quote it"),
    ("spec: {podSelector: {matchLabels: {a: 08}}}", "`08` is read as a number: quote it"),
    (
        "spec: {podSelector: {matchExpressions: [{key: a, operator: In, values: [1e5]}]}}",
        "`1e5` is read as a num",
    ),
    ("spec:\n  podSelector:\n    matchLabels:\n      app:web", "missing space after the colon"),
    ("spec: {podSelector: {matchLabels: [{a: b}]}}", "labels are `key: value`, without a dash"),
    ("spec: {podSelector: [{matchLabels: {a: b}}]}", "remove the dash"),
    ("spec: {ingress: {from: []}}", "begin each item with a dash"),
    ("spec: {policyTypes: Ingress}", "write [Ingress]"),
    ("spec: {ingress: [{ports: [80]}]}", "write port: 80"),
    ("spec: {ingress: [{from: [{ipBlock: 10.0.0.0/8}]}]}", "write {cidr: 10.0.0.0/8}"),
    ("spec: {ingress: [{from: [10.0.0.0/8]}]}", "write ipBlock: {cidr: 10.0.0.0/8}"),
    ("spec: {ingress: [{ports: [{port: 1, endPort: '9'}]}]}", "remove the quotes"),
    ("spec: {policyTypes: [egress]}", "write Egress"),
    ("spec: {podSelector: {matchExpressions: [{key: a, operator: exists}]}}", "write Exists"),
]
PORTS = [
    ("'80'", "remove the quotes"),
    ("30000-30100", "use endPort: write port: 30000 and endPort: 30100"),
    ("'1:2'", "use endPort: write port: 1 and endPort: 2"),
    ("80/tcp", "write port: 80 and protocol: TCP"),
    ("'80,443'", "write one item of `ports:` for each port"),
    ("'*'", "leave out `port` for every port"),
    ("80, protocol: tcp", "write TCP"),
    ("80, protocol: ICMP", "NetworkPolicy has no rules for ICMP"),
]
BLOCKS = [
    ("192.0.2.1", "add /32 for this one address"),
    ("'2001:db8::1'", "add /128 for this one address"),
    ("192.0.2.*", "write 192.0.2.0/24"),
    ("192.0.2", "write 192.0.2.0/24"),
    ("192.0.2.0/33", "at most 32 bits"),
    ("192.0.2.0/255.255.255.0", "write 192.0.2.0/24"),
    ("192.0.2.1-192.0.2.9", "one or more CIDR blocks"),
    ("'192.0.2.0/25,192.0.2.128/25'", "write one item for each block"),
    ("' 192.0.2.0/24'", "write 192.0.2.0/24"),
    ("api.example.com", "NetworkPolicy does not know names"),
    ("https://192.0.2.1", "NetworkPolicy does not know names"),
]
CASES = [
    *HINTS,
    *((f"spec: {{ingress: [{{ports: [{{port: {text}}}]}}]}}", hint) for text, hint in PORTS),
    *((f"spec: {{egress: [{{to: [{{ipBlock: {{cidr: {text}}}}}]}}]}}", hint) for text, hint in BLOCKS),
]


@pytest.mark.parametrize(("rest", "hint"), CASES, ids=[hint[:40] for _, hint in CASES])
def test_a_mistake_is_explained(rest: str, hint: str, problems: Problems) -> None:
    found = problems(f"{POLICY}{rest}\n")
    assert any(hint in problem for problem in found), found
