"""Policies that an API server accepts or refuses, and in answers.json what a real one answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ANSWERS = HERE / "answers.json"

Answer = list[str] | None
"""None: accepted. A list: refused, with the paths of the wrong fields; empty if it could not be decoded."""


@dataclass(frozen=True, slots=True)
class Case:
    """A policy, and what the API's rules say about it."""

    name: str
    policy: Mapping[str, Any]
    expected: Answer


def cases() -> list[Case]:
    """All cases, the valid ones first."""
    found = []
    for stem in ("valid", "invalid"):
        for entry in yaml.safe_load((HERE / f"{stem}.yaml").read_text()):
            policy = {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": entry.get("metadata", {"name": "case", "namespace": "default"}),
                "spec": entry["spec"],
            }
            expected = None if stem == "valid" else sorted(set(entry.get("at", ())))
            found.append(Case(entry["case"], policy, expected))
    return found


def answers() -> dict[str, Answer]:
    """What the API server of answers.json answered, by the name of the case."""
    recorded: dict[str, Answer] = json.loads(ANSWERS.read_text())["cases"]
    return recorded
