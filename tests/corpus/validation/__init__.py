"""Policies that an API server takes or refuses, and in answers.json what a real one said of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ANSWERS = HERE / "answers.json"


@dataclass(frozen=True, slots=True)
class Case:
    """A policy; whether it is valid by the rules; the paths that the rules object to."""

    name: str
    policy: Mapping[str, Any]
    valid: bool
    at: tuple[str, ...] = ()

    @property
    def decodes(self) -> bool:
        """False where a field is unknown or of the wrong type, so that there is nothing to validate."""
        return self.valid or bool(self.at)


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
            found.append(Case(entry["case"], policy, stem == "valid", tuple(entry.get("at", ()))))
    return found


def answers() -> dict[str, Any]:
    """What the API server of `answers()["server"]` said of each case, by its name."""
    answers: dict[str, Any] = json.loads(ANSWERS.read_text())
    return answers
