"""Where cells come from: the rows of a comparison, or a report written by `-o json`, read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netprobe.diff import Mismatch, Row
from netprobe.errors import InputError, Problem
from netprobe.explain.why import path
from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import Direction, Policy, PolicyRef
from netprobe.model.text import dotted
from netprobe.model.verdict import Cause, Decision, Effect, Side, Verdict
from netprobe.report.graph.elements import Clause, EndName, GraphCell, Reasons, SideReasons

Cite: TypeAlias = Callable[[Cause], Clause]

MOST_PROBLEMS = 20


def citer(policies: Iterable[Policy]) -> Cite:
    """Causes to clauses, with file and line if the policy came from a file."""
    known = {policy.ref: policy for policy in policies}

    def cite(cause: Cause) -> Clause:
        policy, at = known.get(cause.policy), path(cause)
        place = str(policy.origin.place(at)) if policy is not None and policy.origin is not None else None
        return Clause(str(cause.policy), at, place)

    return cite


class ReasonsOf:
    """Decisions to reasons. Equal reasons are one object: `grouping` compares identities."""

    def __init__(self, cite: Cite) -> None:
        self._cite = cite
        self._sides: dict[Side, SideReasons] = {}
        self._reasons: dict[tuple[int, int], Reasons] = {}

    def __call__(self, decision: Decision) -> Reasons:
        """For a flow to a Service: what decides for any of its backends."""
        if decision.backends:
            backends = [self(one) for _, one in decision.backends]
            egress, ingress = (_joined(b.egress for b in backends), _joined(b.ingress for b in backends))
            return Reasons(egress, ingress, complete=False)
        return self.of_sides(decision.egress, decision.ingress)

    def of_sides(self, egress: Side, ingress: Side, *, complete: bool = True) -> Reasons:
        one, other = self._side(egress), self._side(ingress)
        return self._reasons.setdefault((id(one), id(other)), Reasons(one, other, complete))

    def _side(self, side: Side) -> SideReasons:
        found = self._sides.get(side)
        if found is None:
            isolating, allowing = (
                tuple(dict.fromkeys(map(self._cite, causes))) for causes in (side.isolating, side.allowing)
            )
            found = self._sides[side] = SideReasons(isolating, allowing)
        return found


def _joined(sides: Iterable[SideReasons]) -> SideReasons:
    held = list(sides)
    return SideReasons(
        tuple(dict.fromkeys(clause for side in held for clause in side.isolating)),
        tuple(dict.fromkeys(clause for side in held for clause in side.allowing)),
    )


def cells_of_rows(rows: Iterable[Row], cite: Cite) -> Iterator[GraphCell]:
    """A cell for each row."""
    reasons_of = ReasonsOf(cite)
    for row in rows:
        flow, decision = row.flow, row.decision
        yield GraphCell(
            EndName.of(flow.source),
            EndName.of(flow.destination),
            flow.port,
            flow.protocol,
            flow.family,
            row.declared,
            row.simulated,
            row.observed,
            row.mismatches,
            row.declared_by,
            reasons_of(decision) if decision else None,
            row.reason or (decision.reason if decision else None),
        )


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
    """One element of `flows` (docs/report.schema.json); keys that nobody here needs are ignored."""

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
        """What makes it the same flow in another report."""
        return (self.step, *self.name.values(), self.family, self.via, self.placement)

    @property
    def outcome_key(self) -> tuple[object, ...]:
        """What makes it unchanged."""
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
    """The parts of a report that graphs, `history` and `diff` need."""

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


def cells_of_report(report: SavedReport, step: int) -> Iterator[GraphCell]:
    """A cell for each flow of one step. A report has the causes that decide, and no others."""
    reasons_of = ReasonsOf(citer(()))
    for flow in report.flows:
        if flow.step != step:
            continue
        causes = [saved.cause() for saved in flow.because]
        egress, ingress = (_side(direction, causes) for direction in (Direction.EGRESS, Direction.INGRESS))
        yield GraphCell(
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
            reasons_of.of_sides(egress, ingress, complete=False) if flow.simulated else None,
            flow.reason,
        )


def _side(direction: Direction, causes: Iterable[Cause]) -> Side:
    own = [cause for cause in causes if cause.direction is direction]
    isolating = tuple(cause for cause in own if cause.effect is Effect.ISOLATES)
    return Side(direction, isolating, tuple(cause for cause in own if cause.effect is Effect.ALLOWS))
