"""The same shops with policies of all kinds mixed, and the mistakes that these invite."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.explain.webshops import NAME, Object


def mix(rng: Random, made: Object, found: list[Object]) -> None:
    """Write some NetworkPolicies as Calico's, and add tiers above and below that change no verdict."""
    for index, policy in enumerate(found):
        if rng.random() < 0.4:
            found[index] = _calico(policy)
    spaces = [space["name"] for space in made["topology"]["namespaces"]]
    found += [
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "Tier",
            "metadata": {"name": "platform"},
            "spec": {"order": 100, "defaultAction": "Pass"},
        },
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "GlobalNetworkPolicy",
            "metadata": {"name": "platform.guard"},
            "spec": {
                "tier": "platform",
                "order": 50,
                "selector": "all()",
                "types": ["Ingress", "Egress"],
                "ingress": [{"action": "Pass"}],
                "egress": [{"action": "Pass"}],
            },
        },
        _cluster_policy("guard", "Admin", {}, [{"action": "Pass", "from": [{"namespaces": {}}]}]),
        _cluster_policy(
            "floor",
            "Baseline",
            {"matchLabels": {NAME: rng.choice(spaces)}},
            [{"action": "Deny", "from": [{"namespaces": {}}]}],
        ),
    ]


def _cluster_policy(name: str, tier: str, spaces: Object, ingress: list[Object]) -> Object:
    return {
        "apiVersion": "policy.networking.k8s.io/v1beta1",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {"tier": tier, "priority": 50, "subject": {"namespaces": spaces}, "ingress": ingress},
    }


def _calico(policy: Object) -> Object:
    spec: Object = {"order": 500, "selector": _selector(policy["spec"]["podSelector"])}
    spec["types"] = policy["spec"]["policyTypes"]
    for section, other, end in (("ingress", "from", "source"), ("egress", "to", "destination")):
        for rule in policy["spec"].get(section, ()):
            for peer in rule[other]:
                calico: Object = {"action": "Allow", "protocol": "TCP", end: _end(peer)}
                ports = [port["port"] for port in rule["ports"]]
                calico["destination"] = {**calico.get("destination", {}), "ports": ports}
                spec.setdefault(section, []).append(calico)
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "NetworkPolicy",
        "metadata": policy["metadata"],
        "spec": spec,
    }


def _end(peer: Object) -> Object:
    if "ipBlock" in peer:
        return {"nets": [peer["ipBlock"]["cidr"]]}
    found = {"selector": _selector(peer["podSelector"])}
    if "namespaceSelector" in peer:
        found["namespaceSelector"] = _selector(peer["namespaceSelector"])
    return found


def _selector(selector: Object) -> str:
    labels = selector.get("matchLabels", {})
    return " && ".join(f"{key} == '{value}'" for key, value in labels.items()) or "all()"


# Mistakes. Each changes one thing, if it finds one to change.

MixedMistake = Callable[[Random, Object, list[Object]], bool]


def mistakes(rng: Random, made: Object, found: list[Object], number: int) -> list[str]:
    """Make mistakes in the policies, in place; returns their names."""
    chosen = [rng.choice(MISTAKES) for _ in range(number)]
    return [mistake.__name__ for mistake in chosen if mistake(rng, made, found)]


def _named(found: list[Object], name: str) -> Any:
    return next(policy["spec"] for policy in found if policy["metadata"]["name"] == name)


def _some_flow(rng: Random, made: Object) -> tuple[Object, Object, int] | None:
    """(source, destination, port) of a declared flow between pods, the ends by namespace and labels."""
    pods = {
        f"{space['name']}/{pod['name']}": {"namespace": space["name"], "labels": pod["labels"]}
        for space in made["topology"]["namespaces"]
        for pod in space["pods"]
    }
    flows = [flow for flow in made["expect"]["flows"] if {flow["from"], flow["to"]} <= pods.keys()]
    if not flows:
        return None
    flow = rng.choice(flows)
    return pods[flow["from"]], pods[flow["to"]], flow["port"]


def denied_above(rng: Random, made: Object, found: list[Object]) -> bool:
    """A tier above denies what a policy below allows."""
    flow = _some_flow(rng, made)
    if flow is None:
        return False
    source, destination, _ = flow
    if rng.random() < 0.5:
        _named(found, "guard")["ingress"].insert(0, {"action": "Deny", "from": [_pods(source)]})
    else:
        deny = {
            "action": "Deny",
            "protocol": "TCP",
            "source": {
                "selector": _selector({"matchLabels": source["labels"]}),
                "namespaceSelector": "all()",
            },
            "destination": {"selector": f"app == '{destination['labels']['app']}'"},
        }
        _named(found, "platform.guard")["ingress"].insert(0, deny)
    return True


def _pods(end: Object) -> Object:
    selectors = {
        "namespaceSelector": {"matchLabels": {NAME: end["namespace"]}},
        "podSelector": {"matchLabels": end["labels"]},
    }
    return {"pods": selectors}


def accepted_above(rng: Random, made: Object, found: list[Object]) -> bool:
    """A tier above accepts a whole namespace, at one end of its flows or at both."""
    space = rng.choice(made["topology"]["namespaces"])["name"]
    if rng.random() < 0.3:
        accept = {"action": "Accept", "from": [{"namespaces": {"matchLabels": {NAME: space}}}]}
        _named(found, "guard")["ingress"].insert(0, accept)
        return True
    spec, where = _named(found, "platform.guard"), {"namespaceSelector": f"{NAME} == '{space}'"}
    spec["ingress"].insert(0, {"action": "Allow", "source": where})
    spec["egress"].insert(0, {"action": "Allow", "destination": where})
    return True


def no_pass(rng: Random, made: Object, found: list[Object]) -> bool:
    """The tier ends with a deny, and its policy does not pass the rest on."""
    _named(found, "platform")["defaultAction"] = "Deny"
    _named(found, "platform.guard")[rng.choice(("ingress", "egress"))] = []
    return bool(made)


def last_order(rng: Random, made: Object, found: list[Object]) -> bool:
    """A deny of the default tier comes before the policies that allow."""
    space = rng.choice(made["topology"]["namespaces"])["name"]
    if any(policy["metadata"]["name"] == "deny-first" for policy in found):
        return False
    found.append(
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "NetworkPolicy",
            "metadata": {"name": "deny-first", "namespace": space},
            "spec": {"order": 10, "selector": "all()", "types": ["Ingress"], "ingress": [{"action": "Deny"}]},
        }
    )
    return True


def misspelt_selector(rng: Random, made: Object, found: list[Object]) -> bool:
    """A policy of Calico selects nothing."""
    specs = [policy["spec"] for policy in found if "==" in str(policy["spec"].get("selector"))]
    if specs:
        spec = rng.choice(specs)
        spec["selector"] = spec["selector"].replace("'", "'x", 1)
    return bool(specs and made)


MISTAKES: tuple[MixedMistake, ...] = (denied_above, accepted_above, no_pass, last_order, misspelt_selector)
