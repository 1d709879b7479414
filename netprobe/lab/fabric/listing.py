"""Reads what `nft -j list table` prints: the rules with their counters. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.fabric.state import CountedRule


def read(node: str, table: str, text: str) -> list[CountedRule]:
    """The rules of a listing, in its order; none for "", which is a table that is not there."""
    items = json.loads(text)["nftables"] if text else []
    return [_rule(node, table, item["rule"]) for item in items if "rule" in item]


def _rule(node: str, table: str, rule: Mapping[str, Any]) -> CountedRule:
    counters = [part["counter"]["packets"] for part in rule["expr"] if "counter" in part]
    verdict = next((text for part in rule["expr"] for text in _verdict(part)), "")
    return CountedRule(
        node, table, rule["chain"], verdict, rule.get("comment", ""), counters[0] if counters else None
    )


def _verdict(part: Mapping[str, Any]) -> Iterator[str]:
    for name in ("accept", "drop", "masquerade", "reject"):
        if name in part:
            yield name
    for name in ("jump", "goto"):
        if name in part:
            yield f"{name} {part[name]['target']}"
    if "dnat" in part:
        address, port = part["dnat"]["addr"], part["dnat"]["port"]
        yield f"dnat [{address}]:{port}" if ":" in address else f"dnat {address}:{port}"
    if isinstance(data := part.get("vmap", {}).get("data"), dict):
        yield " ".join(["goto", *(target["goto"]["target"] for _, target in data["set"])])
