"""Joins the JSON reports of several shards, each of which tried some of the cases, into one.

A report keeps what was observed in each step (`observed_cells`); declared and simulated verdicts follow from
the case. So a report can be read only if its cases are known.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netprobe.conformance.case import Case
from netprobe.conformance.fixture_map import FixtureMap, fictional_map
from netprobe.conformance.result import CaseResult, CaseStatus, Results, StepResult
from netprobe.conformance.world import KUBELET, Cell
from netprobe.diff import Row, compare
from netprobe.errors import InputError, Problem
from netprobe.model.flow import Flow
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.run.record import ClusterInfo, RunInfo
from netprobe.simulate import Simulator

Seen = dict[str, dict[str, dict[str, str]]]
"""Port, source, "allow" | "deny" | "unknown" | "skipped" -> destinations, separated by spaces."""

STDERR_PREFIX: Final = "netprobe: "
SKIPPED: Final = "skipped"
OUTCOMES: Final[Mapping[str, tuple[Outcome, Verdict]]] = {
    "allow": (Outcome.CONNECTED, Verdict.ALLOW),
    "deny": (Outcome.TIMED_OUT, Verdict.DENY),
    "unknown": (Outcome.EXEC_FAILED, Verdict.UNKNOWN),
    SKIPPED: (Outcome.SKIPPED, Verdict.UNKNOWN),
}


def cell_of(case: Case, flow: Flow) -> Cell:
    """The cell of a case that a flow belongs to. Ends have the case's relative names."""
    port = _port(case, flow.port, flow.protocol.value, flow.family)
    return Cell(str(flow.source), str(flow.destination), port)


def _port(case: Case, number: int, protocol: str, family: int | None) -> str:
    return f"{number}/{protocol}{f'/{family}' if case.scope.families else ''}"


def observed_cells(case: Case, rows: Iterable[Row]) -> Seen:
    """The observed verdict of each probed cell."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for row in rows:
        cell = cell_of(case, row.flow)
        word = SKIPPED if row.observed is None else row.observed.value
        sources = found.setdefault(cell.port, {})
        sources.setdefault(cell.source, {}).setdefault(word, []).append(cell.destination)
    return {
        port: {
            source: {word: " ".join(ends) for word, ends in words.items()}
            for source, words in sources.items()
        }
        for port, sources in found.items()
    }


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Flow(_Model):
    source: str = Field(alias="from")
    destination: str = Field(alias="to")
    port: int
    protocol: str
    family: int | None

    def cell(self, case: Case) -> Cell:
        return Cell(self.source, self.destination, _port(case, self.port, self.protocol, self.family))


class _ReasonedFlow(_Flow):
    reason: str | None


class _RepeatedFlow(_Flow):
    observed: list[Verdict]


class _Moment(_Model):
    converged_s: float | None
    problem: str | None
    seen: Seen
    flows: list[_ReasonedFlow]
    attempts: list[_RepeatedFlow]


class _Case(_Model):
    name: str
    status: CaseStatus
    reason: str | None
    seconds: float
    moments: list[_Moment]


class _Run(_Model):
    id: str | None
    netprobe: str
    started: dt.datetime
    finished: dt.datetime
    fixtures: int
    shard: tuple[int, int] | None


class _Report(_Model):
    kind: Literal["ConformanceReport"]
    cluster: dict[str, Any]
    run: _Run
    enforcement: str | None
    problems: list[str]
    cases: list[_Case]


def join(paths: Sequence[Path], cases: Sequence[Case]) -> tuple[Results, ClusterInfo, RunInfo]:
    """Read the shards' reports and join their results, in the order of `cases`.

    InputError if a file is not a report, a case is unknown or in two reports, or the reports are of different
    clusters. A missing shard is a problem of the results.
    """
    known = {case.name: case for case in cases}
    parts = {path: _read(path) for path in paths}
    again = [path for path, count in Counter(paths).items() if count > 1]
    wrong = [
        *(Problem(str(path), "", "is given twice") for path in again),
        *_unknown(parts, known),
        *_twice(parts),
        *_apart(parts),
    ]
    if wrong:
        raise InputError(wrong)
    found = {case.name: _result(known[case.name], case) for part in parts.values() for case in part.cases}
    every = list(parts.values())
    results = Results(
        tuple(found[case.name] for case in cases if case.name in found),
        next((part.enforcement for part in every if part.enforcement), None),
        (*(problem for part in every for problem in part.problems), *_missing(every)),
        sum(part.run.fixtures for part in every),
    )
    run = RunInfo(
        min(part.run.started for part in every),
        max(part.run.finished for part in every),
        "+".join(part.run.id for part in every if part.run.id) or None,
        every[0].run.netprobe,
    )
    return results, ClusterInfo(**every[0].cluster), run


def _read(path: Path) -> _Report:
    try:
        return _Report.model_validate_json(_without_stderr(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Problem(str(path), "", f"cannot be read: {error}")]) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = f"is not a report of `netprobe conformance -o json`: {first['msg']}"
        raise InputError([Problem(str(path), where, message)]) from error


def _without_stderr(text: str) -> str:
    """A container's log without the lines from standard error, which may be between those of the report."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(STDERR_PREFIX))


def _unknown(parts: Mapping[Path, _Report], known: Mapping[str, Case]) -> Iterator[Problem]:
    for path, part in parts.items():
        for number, case in enumerate(part.cases):
            if case.name not in known:
                message = f"unknown case {case.name!r}: pass its file with --cases"
                yield Problem(str(path), f"cases[{number}]", message)
            elif case.moments and len(case.moments) != len(known[case.name].steps):
                message = f"{case.name!r} has a different number of steps in this version"
                yield Problem(str(path), f"cases[{number}]", message)


def _twice(parts: Mapping[Path, _Report]) -> Iterator[Problem]:
    places: defaultdict[str, list[Path]] = defaultdict(list)
    for path, part in parts.items():
        for case in part.cases:
            places[case.name].append(path)
    for name, paths in places.items():
        if len(paths) > 1:
            yield Problem(str(paths[1]), "cases", f"{name!r} is also in {paths[0]}")


def _apart(parts: Mapping[Path, _Report]) -> Iterator[Problem]:
    first, *others = parts.items()
    for path, part in others:
        if part.cluster != first[1].cluster:
            yield Problem(str(path), "cluster", f"differs from the cluster of {first[0]}")


def _missing(parts: Sequence[_Report]) -> Iterator[str]:
    shards = {part.run.shard for part in parts if part.run.shard is not None}
    for count in sorted({count for _, count in shards}):
        lost = [str(index) for index in range(count) if (index, count) not in shards]
        if lost:
            yield f"shard {', '.join(lost)} of {count} is missing: its cases are not included"


def _result(case: Case, part: _Case) -> CaseResult:
    found = [_step(case, number, step) for number, step in enumerate(part.moments) if part.moments]
    return CaseResult(case, part.status, tuple(found), part.reason, part.seconds)


def _step(case: Case, number: int, part: _Moment) -> StepResult:
    step = case.steps[number]
    site = _site(case)
    seen = {
        Cell(source, destination, port): word
        for port, sources in part.seen.items()
        for source, words in sources.items()
        for word, ends in words.items()
        for destination in ends.split()
    }
    reasons = {one.cell(case): one.reason for one in part.flows}
    cluster = site.cluster(case, step)
    declared = site.declared(step, seen)
    observed = Matrix(
        (flow, Observation(*OUTCOMES[word], reason=reasons.get(cell)))
        for (cell, word), flow in zip(seen.items(), declared, strict=True)
    )
    rows = tuple(compare(declared, Simulator(cluster).matrix(declared), observed))
    attempts = {site.flow(one.cell(case)): tuple(one.observed) for one in part.attempts}
    return StepResult(rows, attempts, part.converged_s, cluster.policies, part.problem)


def _site(case: Case) -> FixtureMap:
    """The fictional fixture, with the pods that only this case has."""
    site = fictional_map()
    own = [end for end in case.scope.extra if end not in site.addresses]
    like = {end: f"{KUBELET if end.startswith(KUBELET) else ''}x/late" for end in own}
    return site.with_pods({end: site.addresses[other] for end, other in like.items()}, {})
