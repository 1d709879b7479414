"""Random suites the size of a small shop, with the policies that they need, and with mistakes in those."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import yaml

Object = dict[str, Any]
NAMESPACES = ("edge", "core", "data", "ops")
OUTSIDE: list[Object] = [
    {"name": "internet", "address": "198.51.100.7"},
    {"name": "psp", "address": "203.0.113.80", "ports": [443]},
]
NAME = "kubernetes.io/metadata.name"


def suite(rng: Random) -> Object:
    """A suite with a default of deny."""
    spaces: list[Object] = []
    for name in rng.sample(NAMESPACES, rng.randint(2, 4)):
        pods: list[Object] = []
        for number in range(rng.randint(1, 4)):
            labels = {"app": f"{name}-{number}"} | ({"tier": rng.choice("ab")} if rng.random() < 0.5 else {})
            ports: list[Any] = [rng.choice((80, 5432, 8080))]
            if rng.random() < 0.3:
                ports.append({"port": 9090, "name": "metrics"})
            pods.append({"name": f"p{number}", "labels": labels, "ports": ports})
        labels = {"tier": name} if rng.random() < 0.5 else {}
        spaces.append({"name": name, "labels": labels, "pods": pods})
    names = [f"{space['name']}/{pod['name']}" for space in spaces for pod in space["pods"]]
    pairs = [(one, other) for one in ("internet", *names) for other in ("psp", *names) if one != other]
    pairs.remove(("internet", "psp"))
    flows = []
    for source, destination in sorted(rng.sample(pairs, min(len(pairs), len(names) + 2))):
        port = 443 if destination == "psp" else _number(rng.choice(_pod(spaces, destination)["ports"]))
        flows.append({"from": source, "to": destination, "port": port, "verdict": "allow"})
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ConnectivitySuite",
        "metadata": {"name": "shop"},
        "topology": {"namespaces": spaces, "external": OUTSIDE},
        "policies": ["policies/"],
        "expect": {"default": "deny", "flows": flows},
    }


def policies(made: Object) -> list[Object]:
    """A default deny for each namespace, and a policy for each pod and direction that needs one."""
    spaces = made["topology"]["namespaces"]
    found = [_policy(space["name"], "default-deny", {}, ["Ingress", "Egress"]) for space in spaces]
    for space in spaces:
        for pod in space["pods"]:
            name = f"{space['name']}/{pod['name']}"
            for direction, own, other in (("ingress", "to", "from"), ("egress", "from", "to")):
                rules = [
                    {other: [_peer(spaces, flow[other], space["name"])], "ports": [{"port": flow["port"]}]}
                    for flow in made["expect"]["flows"]
                    if flow[own] == name
                ]
                if rules:
                    selector = {"matchLabels": pod["labels"]}
                    policy = _policy(
                        space["name"], f"{pod['name']}-{direction}", selector, [direction.title()]
                    )
                    policy["spec"][direction] = rules
                    found.append(policy)
    return found


def _policy(namespace: str, name: str, selector: Object, types: list[str]) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": deepcopy(selector), "policyTypes": types},
    }


def _peer(spaces: list[Object], end: str, namespace: str) -> Object:
    for outside in OUTSIDE:
        if outside["name"] == end:
            return {"ipBlock": {"cidr": f"{outside['address']}/32"}}
    pods = {"podSelector": {"matchLabels": {"app": _pod(spaces, end)["labels"]["app"]}}}
    home = end.partition("/")[0]
    return pods if home == namespace else {"namespaceSelector": {"matchLabels": {NAME: home}}, **pods}


def _pod(spaces: list[Object], name: str) -> Object:
    return next(pod for space in spaces for pod in space["pods"] if f"{space['name']}/{pod['name']}" == name)


def _number(port: Any) -> int:
    return int(port["port"] if isinstance(port, dict) else port)


# Mistakes that people make. Each changes one thing, if it finds one to change.


def mistakes(rng: Random, found: list[Object], number: int) -> list[str]:
    """Make mistakes in the policies, in place; returns their names."""
    made = []
    for _ in range(number):
        mistake = rng.choice(MISTAKES)
        if mistake(rng, found):
            made.append(mistake.__name__)
    return made


def _rules(found: list[Object]) -> list[tuple[Object, str, int]]:
    return [
        (policy, direction, index)
        for policy in found
        for direction in ("ingress", "egress")
        for index in range(len(policy["spec"].get(direction, ())))
    ]


def _some_rule(rng: Random, found: list[Object]) -> tuple[list[Object], Object]:
    policy, direction, index = rng.choice(_rules(found))
    rule = policy["spec"][direction][index]
    return rule.get("from" if direction == "ingress" else "to") or [], rule


def made_up_label(rng: Random, found: list[Object]) -> bool:
    peers, _ = _some_rule(rng, found)
    for peer in peers:
        labels = peer.get("namespaceSelector", {}).get("matchLabels", {})
        if NAME in labels:
            labels[rng.choice(("name", "ns"))] = labels.pop(NAME)
            return True
    return False


def or_for_and(rng: Random, found: list[Object]) -> bool:
    peers, _ = _some_rule(rng, found)
    for index, peer in enumerate(peers):
        if len(peer) == 2:
            peers[index : index + 1] = [{key: value} for key, value in peer.items()]
            return True
    return False


def missing_type(rng: Random, found: list[Object]) -> bool:
    policy = rng.choice(found)
    if not policy["spec"].get("egress"):
        return False
    policy["spec"]["policyTypes"] = ["Ingress"]
    return True


def missing_ports(rng: Random, found: list[Object]) -> bool:
    _, rule = _some_rule(rng, found)
    return rule.pop("ports", None) is not None


def other_port(rng: Random, found: list[Object]) -> bool:
    _, rule = _some_rule(rng, found)
    for port in rule.get("ports", ()):
        port["port"] = rng.choice((80, 443, 9090))
    return True


def misspelt_subject(rng: Random, found: list[Object]) -> bool:
    labels = rng.choice(found)["spec"]["podSelector"].get("matchLabels")
    if labels:
        labels["app"] += "x"
    return bool(labels)


def extra_label(rng: Random, found: list[Object]) -> bool:
    labels = rng.choice(found)["spec"]["podSelector"].get("matchLabels")
    if labels:
        labels["component"] = "server"
    return bool(labels)


def misspelt_peer(rng: Random, found: list[Object]) -> bool:
    peers, _ = _some_rule(rng, found)
    for peer in peers:
        if "podSelector" in peer and "matchLabels" in peer["podSelector"]:
            peer["podSelector"]["matchLabels"]["app"] += "x"
            return True
    return False


def everyone(rng: Random, found: list[Object]) -> bool:
    peers, _ = _some_rule(rng, found)
    peers.append({"podSelector": {}})
    return True


def no_peers(rng: Random, found: list[Object]) -> bool:
    policy, direction, index = rng.choice(_rules(found))
    policy["spec"][direction][index].pop("from" if direction == "ingress" else "to", None)
    return True


def forgotten(rng: Random, found: list[Object]) -> bool:
    found.remove(rng.choice(found))
    return True


def other_namespace(rng: Random, found: list[Object]) -> bool:
    policy, other = rng.choice(found), rng.choice(found)
    taken = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found}
    name = (other["metadata"]["namespace"], policy["metadata"]["name"])
    if name in taken:
        return False
    policy["metadata"]["namespace"] = name[0]
    return True


MISTAKES: tuple[Callable[[Random, list[Object]], bool], ...] = (
    *(made_up_label, or_for_and, missing_type, missing_ports, other_port, misspelt_subject, extra_label),
    *(misspelt_peer, everyone, no_peers, forgotten, other_namespace),
)


def write(folder: Path, made: Object, found: list[Object], rng: Random) -> Path:
    """The suite and its policies as files in different styles."""
    (folder / "policies").mkdir()
    flow: dict[bool, bool | None] = {True: None, False: False}
    for index, policy in enumerate(found):
        file = folder / "policies" / f"{policy['metadata'].get('namespace', 'cluster')}.yaml"
        old = file.read_text() + "---\n" if file.exists() else ""
        style = flow[rng.random() < 0.5]
        file.write_text(
            f"{old}# policy {index}\n{yaml.safe_dump(policy, sort_keys=False, default_flow_style=style)}"
        )
    file = folder / "suite.yaml"
    file.write_text(yaml.safe_dump(made, sort_keys=False, default_flow_style=None))
    return file
