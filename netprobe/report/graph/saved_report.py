"""A report written by `-o json`, read back: what a graph needs of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netprobe.diff import Mismatch
from netprobe.errors import InputError, Problem
from netprobe.model.flow import Family, Protocol
from netprobe.model.verdict import Verdict
from netprobe.report.graph.elements import Cell, Clause, EndName, Reasons, SideReasons

MOST_PROBLEMS = 20


class SavedCause(BaseModel):
    model_config = ConfigDict(frozen=True)
    direction: Literal["ingress", "egress"]
    policy: str
    rule: int | None = None
    peer: int | None = None
    effect: str


class SavedFlow(BaseModel):
    """One element of `flows` (docs/report.schema.json); keys that a graph does not show are ignored."""

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


class SavedStep(BaseModel):
    name: str


class SavedReport(BaseModel):
    """The parts of a report that a graph needs."""

    api_version: Literal["netprobe/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["Report"]
    suite: str | None = None
    steps: tuple[SavedStep, ...] = ()
    flows: tuple[SavedFlow, ...]

    @property
    def has_declared_by(self) -> bool:
        """Whether it says which flows a row declares. Reports of older versions do not."""
        return any(flow.declared_by for flow in self.flows) or not any(flow.declared for flow in self.flows)


def read_report(path: Path) -> SavedReport:
    """Read a report. InputError if the file cannot be read or is not a report."""
    try:
        return SavedReport.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InputError([Problem(str(path), "", "is not UTF-8 text")]) from error
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise InputError([Problem(where, "", f"is not JSON: {error.msg}")]) from error
    except RecursionError as error:
        raise InputError([Problem(str(path), "", "is nested too deeply")]) from error
    except ValidationError as error:
        raise InputError(_problems(path, error)) from error


def _problems(path: Path, error: ValidationError) -> Iterator[Problem]:
    for each in error.errors()[:MOST_PROBLEMS]:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"])
        yield Problem(str(path), where.removeprefix("."), each["msg"])
    if error.error_count() > MOST_PROBLEMS:
        yield Problem(str(path), "", f"and {error.error_count() - MOST_PROBLEMS} more problems")


def cells_of_report(report: SavedReport, step: int) -> Iterator[Cell]:
    """A cell for each flow of one step."""
    reasons: dict[tuple[SavedCause, ...], Reasons] = {}  # equal reasons must be one object
    for flow in report.flows:
        if flow.step == step:
            yield Cell(
                EndName.parse(flow.source),
                EndName.parse(flow.to),
                flow.port,
                flow.protocol,
                flow.family,
                flow.declared,
                flow.simulated,
                flow.observed,
                flow.mismatch,
                flow.declared_by,
                reasons.setdefault(flow.because, _reasons(flow.because)) if flow.simulated else None,
                flow.reason,
            )


def _reasons(causes: tuple[SavedCause, ...]) -> Reasons:
    """A report has the causes that decide, and no others."""

    def side(direction: str) -> SideReasons:
        of_side = [cause for cause in causes if cause.direction == direction]
        return SideReasons(
            tuple(Clause(c.policy, "spec.podSelector") for c in of_side if c.effect == "isolates"),
            tuple(Clause(c.policy, _path(c)) for c in of_side if c.effect == "allows"),
        )

    return Reasons(side("egress"), side("ingress"), complete=False)


def _path(cause: SavedCause) -> str:
    path = f"spec.{cause.direction}"
    if cause.rule is not None:
        path += f"[{cause.rule}]"
        if cause.peer is not None:
            path += f".{'from' if cause.direction == 'ingress' else 'to'}[{cause.peer}]"
    return path
