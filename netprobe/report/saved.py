"""Reports written by `-o json`, read back: the parts that graphs, `history` and `diff` need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netprobe.diff import Mismatch
from netprobe.errors import InputError, Problem
from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import Direction, PolicyRef
from netprobe.model.text import dotted
from netprobe.model.verdict import Cause, Effect, Verdict

MOST_PROBLEMS = 20


class SavedCause(BaseModel):
    model_config = ConfigDict(frozen=True)
    direction: Direction
    policy: str
    effect: Effect
    rule: int | None = None
    peer: int | None = None
    kind: str = "NetworkPolicy"

    def cause(self) -> Cause:
        namespace, _, name = self.policy.rpartition("/")
        ref = PolicyRef(namespace, name, self.kind)
        return Cause(self.direction, ref, self.effect, self.rule, self.peer)


class SavedFlow(BaseModel):
    """One element of `flows` (docs/report.schema.json); keys that are not used here are ignored."""

    source: str = Field(alias="from")
    to: str
    port: int = Field(ge=1, le=65535)
    protocol: Protocol
    family: Family | None = None
    step: int = 0
    declared: Verdict | None = None
    declared_by: Literal["row", "pattern", "default"] | None = None
    simulated: Verdict | None = None
    observed: Verdict | None = None
    reason: str | None = None
    mismatch: tuple[Mismatch, ...] = ()
    because: tuple[SavedCause, ...] = ()
    status: str | None = None
    via: str = "pod"
    placement: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """A flow with the same key is the same flow in another report."""
        return (self.step, *self.name.values(), self.family, self.via, self.placement)

    @property
    def outcome_key(self) -> tuple[object, ...]:
        """A flow with the same outcome key has not changed."""
        return self.declared, self.simulated, self.observed, self.status

    @property
    def name(self) -> dict[str, str | int]:
        return {"from": self.source, "to": self.to, "port": self.port, "protocol": self.protocol.value}

    def __str__(self) -> str:
        protocol = "" if self.protocol is Protocol.TCP else f"/{self.protocol.value}"
        return f"{self.source} -> {self.to} {self.port}{protocol}"


class SavedPolicy(BaseModel):
    kind: str
    name: str
    digest: str


class SavedStep(BaseModel):
    name: str


class SavedReport(BaseModel):
    """A report of a run or a simulation (docs/report.schema.json)."""

    api_version: Literal["netprobe/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["Report"]
    suite: str | None = None
    steps: tuple[SavedStep, ...] = ()
    flows: tuple[SavedFlow, ...]
    policies: tuple[SavedPolicy, ...] = ()
    cluster: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None

    @property
    def has_declared_by(self) -> bool:
        """Whether it says which flows a row declares. Reports of older versions do not."""
        return any(flow.declared_by for flow in self.flows) or not any(flow.declared for flow in self.flows)


def read_report(file: Path) -> SavedReport:
    """Read a report. InputError if the file cannot be read or is not a report."""
    try:
        return SavedReport.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError([Problem(str(file), "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InputError([Problem(str(file), "", "is not UTF-8 text")]) from error
    except json.JSONDecodeError as error:
        where = f"{file}:{error.lineno}:{error.colno}"
        raise InputError([Problem(where, "", f"is not JSON: {error.msg}")]) from error
    except RecursionError as error:
        raise InputError([Problem(str(file), "", "is nested too deeply")]) from error
    except ValidationError as error:
        raise InputError(_problems(file, error)) from error


def _problems(file: Path, error: ValidationError) -> Iterator[Problem]:
    for each in error.errors()[:MOST_PROBLEMS]:
        yield Problem(str(file), dotted(each["loc"]), each["msg"])
    if error.error_count() > MOST_PROBLEMS:
        yield Problem(str(file), "", f"and {error.error_count() - MOST_PROBLEMS} more problems")
