"""A report that was written as JSON, read back for what a graph draws."""

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
from netprobe.report.graph.cells import NAMED
from netprobe.report.graph.record import Cell, Clause, Part, Party, Why


class SavedCause(BaseModel):
    model_config = ConfigDict(frozen=True)
    direction: Literal["ingress", "egress"]
    policy: str
    rule: int | None = None
    peer: int | None = None
    effect: Literal["isolates", "allows"]


class SavedFlow(BaseModel):
    """One element of `flows`, as docs/report.schema.json has it; what is not drawn is passed over."""

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


class Saved(BaseModel):
    """The parts of a report that a graph needs."""

    api_version: Literal["netprobe/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["Report"]
    suite: str | None = None
    steps: tuple[SavedStep, ...] = ()
    flows: tuple[SavedFlow, ...]

    @property
    def tells_rows(self) -> bool:
        """Whether it says which flows a row declares: reports of older versions do not."""
        return any(flow.declared_by for flow in self.flows) or not any(flow.declared for flow in self.flows)


def read(path: Path) -> Saved:
    """Read a report; InputError where the file cannot be read or is no report of ours."""
    try:
        text = path.read_text(encoding="utf-8")
        return Saved.model_validate(json.loads(text))
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


MOST_TOLD = 20


def _problems(path: Path, error: ValidationError) -> Iterator[Problem]:
    for each in error.errors()[:MOST_TOLD]:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"])
        yield Problem(str(path), where.removeprefix("."), each["msg"])
    if error.error_count() > MOST_TOLD:
        yield Problem(str(path), "", f"and {error.error_count() - MOST_TOLD} more problems")


def of_report(saved: Saved, step: int) -> Iterator[Cell]:
    """The cells of one step."""
    whys: dict[tuple[SavedCause, ...], Why] = {}
    for flow in saved.flows:
        if flow.step == step:
            yield Cell(
                Party.parse(flow.source),
                Party.parse(flow.to),
                flow.port,
                flow.protocol,
                flow.family,
                flow.declared,
                flow.simulated,
                flow.observed,
                flow.mismatch,
                NAMED[flow.declared_by],
                whys.setdefault(flow.because, _why(flow.because)) if flow.simulated else None,
                flow.reason,
            )


def _why(causes: tuple[SavedCause, ...]) -> Why:
    """A report holds the causes that decide, and no others."""

    def part(direction: str) -> Part:
        mine = [cause for cause in causes if cause.direction == direction]
        return Part(
            tuple(Clause(c.policy, "spec.podSelector") for c in mine if c.effect == "isolates"),
            tuple(Clause(c.policy, _path(c)) for c in mine if c.effect == "allows"),
        )

    return Why(part("egress"), part("ingress"), told=False)


def _path(cause: SavedCause) -> str:
    path = f"spec.{cause.direction}"
    if cause.rule is not None:
        path += f"[{cause.rule}]"
        if cause.peer is not None:
            path += f".{'from' if cause.direction == 'ingress' else 'to'}[{cause.peer}]"
    return path
