"""The file of expected failures: a reason and an end date for each case.

- case: "ingress: port 53-80/*"      a case's name, or a pattern with a shell's wildcards
  reason: the plugin supports endPort from version 2 on
  until: 2027-03-01                  from this day on the failure counts again
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, RootModel

from netprobe.conformance.case import Case, has_name, suggestion
from netprobe.conformance.load import ListReader, text_of
from netprobe.conformance.result import CaseResult, CaseStatus, Results, Triage


class ExpectedFailure(BaseModel):
    """One entry. `case`: a name or pattern; `until`: the first day on which the failure counts again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    until: dt.date

    def holds(self, case: Case) -> bool:
        return has_name(case, self.case)


class ExpectedFailures(RootModel[list[ExpectedFailure]]):
    """A list of entries, each a mapping of `case`, `reason` and `until`."""


def load(path: str | os.PathLike[str], cases: Iterable[Case]) -> tuple[ExpectedFailure, ...]:
    """Read a file of expected failures. InputError with all problems, such as a name that no case has."""
    reader = ListReader(str(path))
    known = reader.entries(text_of(path), ExpectedFailures)
    every = list(cases)
    for index, one in enumerate(known):
        if not any(map(one.holds, every)):
            hint = "`netprobe conformance --list` shows the names"
            near = suggestion(one.case, [case.name for case in every], cutoff=0.7, otherwise=hint)
            reader.complain(f"[{index}].case", f"no case is named {one.case!r}{near}")
    reader.finish()
    return tuple(known)


def triage(results: Results, known: Sequence[ExpectedFailure], today: dt.date) -> Results:
    """The results, each compared with its entry; the first entry that matches a case counts."""
    return replace(results, results=tuple(_judged(result, known, today) for result in results.results))


def _judged(result: CaseResult, known: Sequence[ExpectedFailure], today: dt.date) -> CaseResult:
    entry = next((one for one in known if one.holds(result.case)), None)
    if entry is None:
        return result
    remark = f"{entry.reason} (until {entry.until})"
    match result.status:
        case CaseStatus.FAILED | CaseStatus.FLAKY | CaseStatus.UNKNOWN:
            standing = Triage.EXPECTED if today < entry.until else Triage.EXPIRED
            return replace(result, standing=standing, remark=remark)
        case CaseStatus.PASSED:
            return replace(result, standing=Triage.FIXED, remark=remark)
        case _:
            return result
