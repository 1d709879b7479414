"""Mistakes that people make in policies. Each changes one mapping of an object, at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

Object = dict[str, Any]
NAME = "kubernetes.io/metadata.name"


def rename(labels: Object, key: str, other: str) -> None:
    labels[other] = labels.pop(key)


def misspell(mapping: Object, key: str) -> None:
    mapping[key] = mapping[key].replace("'", "'x", 1) if "'" in mapping[key] else f"{mapping[key]}x"


def or_for_and(rule: Object) -> None:
    """The two selectors of a peer become two peers."""
    peers = rule["from"]
    index = next(index for index, peer in enumerate(peers) if len(peer) == 2)
    peers[index : index + 1] = [{key: value} for key, value in peers[index].items()]


# What it takes, and what is done to the mapping.
MISTAKES: dict[str, tuple[Callable[[Object], Any], Callable[[Object], object]]] = {
    "a made-up label": (lambda it: NAME in it, lambda it: rename(it, NAME, "name")),
    "a misspelt label": (lambda it: "app" in it, lambda it: misspell(it, "app")),
    "a misspelt selector": (lambda it: "==" in it.get("selector", ""), lambda it: misspell(it, "selector")),
    "one label too many": (
        lambda it: it.get("matchLabels") and "ingress" not in it,
        lambda it: it["matchLabels"].update(component="server"),
    ),
    "OR for AND": (lambda it: any(len(peer) == 2 for peer in it.get("from", ())), or_for_and),
    "everyone": (
        lambda it: "from" in it and "action" not in it,
        lambda it: it["from"].append({"podSelector": {}}),
    ),
    "no peers": (lambda it: "from" in it and "action" not in it, lambda it: it.pop("from")),
    "no ports": (lambda it: "ports" in it and {"from", "to"} & it.keys(), lambda it: it.pop("ports")),
    "another port": (lambda it: isinstance(it.get("port"), int), lambda it: it.update(port=it["port"] + 1)),
    "a type that is missing": (
        lambda it: "Egress" in it.get("policyTypes", ()) and "egress" in it,
        lambda it: it.update(policyTypes=["Ingress"]),
    ),
    "denied instead of passed on": (
        lambda it: it.get("action") == "Pass",
        lambda it: it.update(action="Deny"),
    ),
    "allowed instead of denied": (
        lambda it: it.get("action") == "Deny",
        lambda it: it.update(action="Pass"),
    ),
    "a tier that denies the rest": (
        lambda it: it.get("defaultAction") == "Pass",
        lambda it: it.update(defaultAction="Deny"),
    ),
    "rules in the wrong order": (
        lambda it: len(it.get("ingress") or ()) > 1,
        lambda it: it["ingress"].reverse(),
    ),
    "a policy that comes last": (lambda it: "order" in it, lambda it: it.update(order=it["order"] + 500)),
}


def mappings(value: Any) -> Iterator[Object]:
    """A value's mappings at any depth."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(part)


def make_mistakes(policies: Path, rng: Random, number: int) -> list[str]:
    """Make mistakes in the files of a folder; returns which."""
    files = {path: list(yaml.safe_load_all(path.read_text())) for path in sorted(policies.iterdir())}
    made: list[str] = []
    while len(made) < number:
        name, (applies, change) = rng.choice(list(MISTAKES.items()))
        found = [it for it in mappings(list(files.values())) if applies(it)]
        if found:
            change(rng.choice(found))
            made.append(name)
    for path, objects in files.items():
        path.write_text(yaml.safe_dump_all(objects, default_flow_style=rng.choice((None, False))))
    return made
