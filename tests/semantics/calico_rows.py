"""Calico's semantics as a table: situations, and who reaches whom. Simulator and packets must agree with it.

    pod  labels            service account       ports
    a/p  app: p            api (side: server)    80 "web", 81
    a/x  app: x, role: web front (side: client)  80
    a/q  app: q            api                   81 "web", 80
    b/x  app: x, role: web front (side: client)  80
    b/n  none              default               80

Outside there is 203.0.113.50. `<b/x>` in a manifest stands for the address of that pod. Every flow is TCP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

V3, CRD = "projectcalico.org/v3", "crd.projectcalico.org/v1"
OUTSIDE = "203.0.113.50"


def _pod(
    name: str, labels: Mapping[str, str], account: str, *ports: tuple[int, str | None]
) -> dict[str, Any]:
    namespace, _, own = name.partition("/")
    declared = [{"containerPort": port, **({"name": text} if text else {})} for port, text in ports]
    spec = {"serviceAccountName": account, "containers": [{"name": "c", "image": "i", "ports": declared}]}
    metadata = {"name": own, "namespace": namespace, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": name}}}


def _account(namespace: str, name: str, side: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {"side": side}}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


WORLD = (
    _namespace("a"),
    _namespace("b"),
    _account("a", "api", "server"),
    _account("a", "front", "client"),
    _account("b", "front", "client"),
    _pod("a/p", {"app": "p"}, "api", (80, "web"), (81, None)),
    _pod("a/x", {"app": "x", "role": "web"}, "front", (80, None)),
    _pod("a/q", {"app": "q"}, "api", (81, "web"), (80, None)),
    _pod("b/x", {"app": "x", "role": "web"}, "front", (80, None)),
    _pod("b/n", {}, "default", (80, None)),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its number in the table of the specification, the situation, objects in YAML, and the answers.

    An answer is "SOURCE -> DESTINATION PORT VERDICT"; the destination is a/p and the port 80 unless it says
    otherwise.
    """

    number: str
    situation: str
    manifest: str
    answers: tuple[str, ...]

    def objects(self, addresses: Mapping[str, str]) -> list[dict[str, Any]]:
        """The objects, for pods with these addresses."""
        text = self.manifest
        for pod, address in addresses.items():
            text = text.replace(f"<{pod}>", address)
        return [_complete(short) for short in yaml.safe_load_all(text) if short]

    def flows(self) -> list[tuple[str, str, int, bool]]:
        """Source, destination, port, and whether it is allowed."""
        found = []
        for answer in self.answers:
            ends, _, verdict = answer.rpartition(" ")
            assert verdict in {"ALLOW", "DENY"}, answer
            source, _, rest = ends.partition(" ->")
            destination, _, port = rest.strip().partition(" ")
            found.append((source, destination or "a/p", int(port or 80), verdict == "ALLOW"))
        return found


_KINDS = {  # short form -> apiVersion, kind, namespace
    "np": (V3, "NetworkPolicy", "a"),
    "crd-np": (CRD, "NetworkPolicy", "a"),
    "gnp": (V3, "GlobalNetworkPolicy", None),
    "tier": (V3, "Tier", None),
    "staged": (V3, "StagedNetworkPolicy", "a"),
    "set": (V3, "GlobalNetworkSet", None),
    "knp": ("networking.k8s.io/v1", "NetworkPolicy", "a"),
    "cnp": ("policy.networking.k8s.io/v1beta1", "ClusterNetworkPolicy", None),
}


def _complete(short: Mapping[str, Any]) -> dict[str, Any]:
    """`np: NAME` with the fields of the spec beside it, and `labels`."""
    word, name = next(iter(short.items()))
    version, kind, namespace = _KINDS[word]
    metadata = {"name": name, "namespace": namespace, "labels": short.get("labels")}
    spec = {key: value for key, value in short.items() if key not in {word, "labels"}}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {key: value for key, value in metadata.items() if value is not None},
        "spec": spec,
    }


ON_P = "selector: app == 'p'"
T1 = "{tier: t1, order: 10}\n---\n"
T1_PASSING = "{tier: t1, order: 10, defaultAction: Pass}\n---\n"
OTHERS = (
    f"{{np: t1.p, tier: t1, {ON_P}, ingress: [{{action: Allow, source: {{selector: app == 'q'}}}}]}}\n---\n"
)
LETS_X_IN = """
{knp: k, podSelector: {matchLabels: {app: p}}, ingress: [{from: [{podSelector: {matchLabels: {app: x}}}]}]}
---
"""
AROUND_Q = "{set: s, labels: {role: partner}, nets: [<a/q>/32]}\n---\n"
AROUND_P = AROUND_Q.replace("a/q", "a/p")


def partners(ports: str, *, ends: str = "selector: role == 'partner'") -> str:
    """A policy that allows the egress of a/p to these destinations only."""
    rule = f"{{action: Allow, protocol: TCP, destination: {{{ends}, {ports}}}}}"
    return f"{{gnp: p, {ON_P}, types: [Egress], egress: [{rule}]}}"


ISOLATES = "{knp: k, podSelector: {matchLabels: {app: p}}, policyTypes: [Ingress]}\n---\n"
X = "source: {selector: app == 'x'}"

ROWS = (
    Row("1", "no policy", "", ("a/x -> ALLOW", "b/x -> ALLOW")),
    Row("2", "types [Ingress], no rules", f"{{np: p, {ON_P}, types: [Ingress]}}", ("a/x -> DENY",)),
    Row(
        "3",
        "only egress rules and no types",
        f"{{np: p, {ON_P}, egress: [{{action: Allow, destination: {{selector: app == 'q'}}}}]}}",
        ("a/x -> ALLOW", "a/p -> a/q ALLOW", "a/p -> b/n DENY"),
    ),
    Row(
        "3b",
        "the same in crd.projectcalico.org/v1",
        f"{{crd-np: p, {ON_P}, egress: [{{action: Allow, destination: {{selector: app == 'q'}}}}]}}",
        ("a/x -> DENY", "a/p -> a/q ALLOW", "a/p -> b/n DENY"),
    ),
    Row("4", "neither rules nor types", f"{{np: p, {ON_P}}}", ("a/x -> DENY", "a/p -> b/n ALLOW")),
    Row(
        "4b",
        "the same in crd.projectcalico.org/v1",
        f"{{crd-np: p, {ON_P}}}",
        ("a/x -> DENY", "a/p -> b/n DENY"),
    ),
    Row("5", "an earlier tier denies at its end", T1 + OTHERS + LETS_X_IN, ("a/x -> DENY", "a/q -> ALLOW")),
    Row(
        "6",
        "an earlier tier passes at its end",
        T1_PASSING + OTHERS + LETS_X_IN,
        ("a/x -> ALLOW", "b/n -> DENY"),
    ),
    Row("7", "... and no NetworkPolicy", T1_PASSING + OTHERS, ("a/x -> ALLOW", "b/n -> ALLOW")),
    Row(
        "8",
        "a tier whose policies do not select the pod",
        T1 + OTHERS.replace("'p'", "'other'") + ISOLATES,
        ("a/x -> DENY", "a/p -> a/x ALLOW"),
    ),
    Row(
        "9",
        "a tier that selects the pod for egress only",
        T1 + f"{{np: t1.p, tier: t1, {ON_P}, types: [Egress]}}",
        ("a/x -> ALLOW", "a/p -> a/x DENY"),
    ),
    Row(
        "10",
        "a tier passes to a NetworkPolicy that isolates",
        T1 + f"{{np: t1.p, tier: t1, {ON_P}, ingress: [{{action: Pass, {X}}}]}}\n---\n" + ISOLATES,
        ("a/x -> DENY",),
    ),
    Row(
        "10b",
        "... to policies of which one passes others",
        T1
        + f"{{np: t1.p, tier: t1, {ON_P}, ingress: [{{action: Pass, {X}}}]}}\n---\n"
        + f"{{np: a, order: 1, {ON_P}, ingress: [{{action: Deny, source: {{selector: app == 'q'}}}}]}}\n---\n"
        + f"{{np: b, order: 2, {ON_P}, ingress: [{{action: Pass, source: {{selector: app == 'q'}}}}]}}",
        ("a/x -> DENY",),
    ),
    Row(
        "11",
        "Pass in the last tier",
        f"{{tier: z, order: 2000000}}\n---\n{{np: z.p, tier: z, {ON_P}, ingress: [{{action: Pass, {X}}}]}}",
        ("a/x -> ALLOW", "a/q -> DENY"),
    ),
    Row(
        "12",
        "Log and nothing else",
        T1 + f"{{np: t1.p, tier: t1, {ON_P}, ingress: [{{action: Log}}]}}",
        ("a/x -> DENY",),
    ),
    Row(
        "13",
        "Log, then Allow",
        T1 + f"{{np: t1.p, tier: t1, {ON_P}, ingress: [{{action: Log}}, {{action: Allow}}]}}",
        ("a/x -> ALLOW",),
    ),
    Row(
        "14",
        "a GlobalNetworkPolicy before NetworkPolicies denies",
        f"{{gnp: g, order: 500, {ON_P}, ingress: [{{action: Deny, {X}}}]}}\n---\n" + LETS_X_IN,
        ("a/x -> DENY",),
    ),
    Row(
        "15",
        "... after NetworkPolicies",
        f"{{gnp: g, order: 2000, {ON_P}, ingress: [{{action: Deny, {X}}}]}}\n---\n" + LETS_X_IN,
        ("a/x -> ALLOW", "b/x -> DENY"),
    ),
    Row(
        "16",
        "a GlobalNetworkPolicy without order allows what a NetworkPolicy isolates",
        f"{{gnp: g, {ON_P}, ingress: [{{action: Allow, {X}}}]}}\n---\n" + ISOLATES,
        ("a/x -> ALLOW", "a/q -> DENY"),
    ),
    Row(
        "17",
        "two policies of one order: by name",
        f"{{gnp: a, order: 1, {ON_P}, ingress: [{{action: Allow, {X}}}]}}\n---\n"
        f"{{gnp: b, order: 1, {ON_P}, ingress: [{{action: Deny, {X}}}]}}",
        ("a/x -> ALLOW",),
    ),
    Row(
        "17 swapped",
        "two policies of one order: by name, the other way round",
        f"{{gnp: b, order: 1, {ON_P}, ingress: [{{action: Allow, {X}}}]}}\n---\n"
        f"{{gnp: a, order: 1, {ON_P}, ingress: [{{action: Deny, {X}}}]}}",
        ("a/x -> DENY",),
    ),
    Row(
        "17 kinds",
        "two policies of one order and name: by kind, and those of Kubernetes as Kubernetes...",
        LETS_X_IN + f"{{np: k, order: 1000, {ON_P}, ingress: [{{action: Deny}}]}}",
        ("a/x -> ALLOW", "a/q -> DENY"),
    ),
    Row(
        "18",
        "two tiers of one order: by name",
        "{tier: t2, order: 5}\n---\n{tier: t1, order: 5}\n---\n"
        f"{{np: t2.p, tier: t2, {ON_P}, ingress: [{{action: Allow}}]}}\n---\n"
        f"{{np: t1.p, tier: t1, {ON_P}, ingress: [{{action: Deny, {X}}}, {{action: Pass}}]}}",
        ("a/x -> DENY", "a/q -> ALLOW"),
    ),
    Row("19", "only a staged policy", f"{{staged: p, {ON_P}, types: [Ingress]}}", ("a/x -> ALLOW",)),
    Row(
        "20",
        "a staged and an enforced policy, none matches",
        T1 + OTHERS + f"{{staged: t1.s, tier: t1, {ON_P}, ingress: [{{action: Allow}}]}}",
        ("a/x -> DENY", "a/q -> ALLOW"),
    ),
    Row(
        "21",
        "!= and a peer without the label",
        f"{{np: p, {ON_P}, ingress: [{{action: Allow, source: {{selector: role != 'web'}}}}]}}",
        ("a/q -> ALLOW", "a/x -> DENY"),
    ),
    Row(
        "22",
        "not in and a peer without the label",
        f"{{np: p, {ON_P}, ingress: [{{action: Allow, source: {{selector: \"role not in {{'web'}}\"}}}}]}}",
        ("a/q -> ALLOW", "a/x -> DENY"),
    ),
    Row(
        "22 in",
        "in and a peer without the label",
        f"{{np: p, {ON_P}, ingress: [{{action: Allow, source: {{selector: \"role in {{'web'}}\"}}}}]}}",
        ("a/q -> DENY", "a/x -> ALLOW"),
    ),
    Row(
        "23",
        "a selector stays in the policy's namespace",
        f"{{np: p, {ON_P}, ingress: [{{action: Allow, {X}}}]}}",
        ("b/x -> DENY", "a/x -> ALLOW"),
    ),
    Row(
        "23 all",
        "... unless namespaceSelector says otherwise",
        f"{{np: p, {ON_P}, ingress: "
        "[{action: Allow, source: {selector: app == 'x', namespaceSelector: all()}}]}",
        ("b/x -> ALLOW", "a/x -> ALLOW", "b/n -> DENY", f"{OUTSIDE} -> DENY"),
    ),
    Row(
        "24",
        "nets alone are not scoped",
        f"{{np: p, {ON_P}, ingress: [{{action: Allow, source: {{nets: [<b/x>/32]}}}}]}}",
        ("b/x -> ALLOW", "b/n -> DENY"),
    ),
    Row(
        "25",
        "notSelector in a namespaced policy",
        f"{{np: p, {ON_P}, ingress: [{{action: Allow, source: {{notSelector: app == 'x'}}}}]}}",
        (f"{OUTSIDE} -> DENY", "a/x -> DENY", "a/q -> ALLOW", "b/n -> DENY"),
    ),
    Row(
        "25 global",
        "notSelector in a global policy",
        f"{{gnp: p, {ON_P}, ingress: [{{action: Allow, source: {{notSelector: app == 'x'}}}}]}}",
        (f"{OUTSIDE} -> ALLOW", "a/x -> DENY", "b/x -> DENY", "b/n -> ALLOW"),
    ),
    *(
        Row(
            f"26 {namespaces or 'none'}",
            "a GlobalNetworkSet around a client outside",
            f"{{set: s, labels: {{role: partner}}, nets: [{OUTSIDE}/32]}}\n---\n"
            f"{{gnp: p, {ON_P}, ingress: [{{action: Allow, source: {{selector: role == 'partner'"
            + (f", namespaceSelector: {namespaces}" if namespaces else "")
            + "}}]}",
            (f"{OUTSIDE} -> {verdict}", "a/x -> DENY"),
        )
        for namespaces, verdict in (("", "ALLOW"), ("all()", "DENY"), ("global()", "ALLOW"))
    ),
    Row(
        "27",
        "service accounts by name and selector",
        f"{{np: p, {ON_P}, ingress: [{{action: Allow, source: "
        "{namespaceSelector: all(), "
        "serviceAccounts: {names: [front, default], selector: side == 'client'}}}]}",
        ("a/x -> ALLOW", "b/x -> ALLOW", "a/q -> DENY", "b/n -> DENY"),
    ),
    Row(
        "28",
        "a named port is each pod's own",
        "{np: p, selector: all(), ingress: [{action: Allow, protocol: TCP, destination: {ports: [web]}}]}",
        ("a/x -> ALLOW", "a/x -> a/p 81 DENY", "a/x -> a/q 81 ALLOW", "a/x -> a/q 80 DENY"),
    ),
    Row(
        "29",
        "ports and notPorts",
        f"{{np: p, {ON_P}, ingress: "
        "[{action: Allow, protocol: TCP, destination: {ports: ['80:90'], notPorts: [81]}}]}",
        ("a/x -> ALLOW", "a/x -> a/p 81 DENY"),
    ),
    Row(
        "28 destination",
        "the destination of ingress narrows the pods of the policy",
        "{gnp: p, selector: all(), ingress: [{action: Allow, destination: {selector: app == 'p'}}]}",
        ("a/x -> ALLOW", "a/x -> a/q DENY"),
    ),
    Row(
        "29 set",
        "a name excludes no port of a pod that only a set around it matches",
        AROUND_Q + partners("notPorts: [web]"),
        ("a/p -> a/q 81 ALLOW", "a/p -> a/q ALLOW", "a/p -> b/n DENY"),
    ),
    Row(
        "29 set and networks",
        "... and networks",
        AROUND_Q + partners("notPorts: [web]", ends="selector: role == 'partner', nets: [10.0.0.0/8]"),
        ("a/p -> a/q 81 ALLOW", "a/p -> a/q ALLOW", "a/p -> b/n DENY"),
    ),
    Row(
        "29 both",
        "... but does if its own labels match too",
        AROUND_Q + partners("notPorts: [web]", ends="selector: has(role) || app == 'q'"),
        ("a/p -> a/q 81 DENY", "a/p -> a/q ALLOW", "a/p -> a/x ALLOW"),
    ),
    Row(
        "29 number",
        "... and a number excludes it",
        AROUND_Q + partners("notPorts: [web, 81]"),
        ("a/p -> a/q 81 DENY", "a/p -> a/q ALLOW"),
    ),
    Row(
        "28 set",
        "a named port is not that of a pod that only a set around it matches",
        AROUND_Q + partners("ports: [web], notPorts: [other]"),
        ("a/p -> a/q 81 DENY", "a/p -> a/q DENY"),
    ),
    *(
        Row(
            f"{number} own",
            "the same for the destination of ingress",
            AROUND_P
            + f"{{gnp: p, {ON_P}, ingress: [{{action: Allow, protocol: TCP, {X}, destination: "
            + f"{{selector: role == 'partner', {ports}}}}}]}}",
            (f"a/x -> {verdict}", f"a/x -> a/p 81 {other}"),
        )
        for number, ports, verdict, other in (
            ("29", "notPorts: [web]", "ALLOW", "ALLOW"),
            ("28", "ports: [web]", "DENY", "DENY"),
        )
    ),
    Row(
        "30",
        "Baseline denies, and a NetworkPolicy isolates for the other direction",
        "{cnp: c, tier: Baseline, priority: 1, subject: {namespaces: {matchLabels: {team: a}}}, "
        "ingress: [{name: closed, action: Deny, from: [{namespaces: {}}]}]}\n---\n"
        "{knp: k, podSelector: {matchLabels: {app: p}}, policyTypes: [Egress]}",
        ("a/x -> DENY",),
    ),
)
