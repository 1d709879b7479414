"""Reads a JSON report into rows that scenarios can be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Key(NamedTuple):
    """A flow at a step of a run, by the names that a report uses."""

    source: str
    destination: str
    port: str
    step: int


class Row(NamedTuple):
    """The three tables' words for one flow ("allow", "deny", "unknown", or None), its status, its causes."""

    declared: str | None
    simulated: str | None
    observed: str | None
    status: str
    causes: frozenset[str]


def rows(report: Mapping[str, Any]) -> dict[Key, Row]:
    """The flows of a report, in its order; a flow must not come twice."""
    found: dict[Key, Row] = {}
    for flow in report["flows"]:
        key = Key(flow["from"], flow["to"], f"{flow['port']}/{flow['protocol']}", flow["step"])
        assert key not in found, f"{key} is reported twice"
        causes = frozenset(_cause(cause) for cause in flow["because"])
        found[key] = Row(flow["declared"], flow["simulated"], flow["observed"], flow["status"], causes)
    return found


def facts(text: str) -> dict[Key, str]:
    """Read `SOURCE DESTINATION PORT VERDICT [STEP]` lines."""
    table: dict[Key, str] = {}
    for line in text.split("\n"):
        if line.strip():
            source, destination, port, verdict, *step = line.split()
            table[Key(source, destination, port, int(*step))] = verdict
    return table


def _cause(cause: Mapping[str, Any]) -> str:
    """ "production/allow-postgres ingress allows rule 1 peer 0", with what the report says of it."""
    words = [cause["policy"], cause["direction"], cause["effect"]]
    for part in ("rule", "peer"):
        if cause.get(part) is not None:
            words += [part, str(cause[part])]
    return " ".join(words)
