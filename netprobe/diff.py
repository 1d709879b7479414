"""Declared x simulated x observed: where the three tables differ, and what that means.

The status of a flow, first match first:

1. The API leaves the case to the implementation: UNDEFINED. It is shown and never fails a run.
2. Two tables that both know differ: MISMATCH, whatever the third says.
3. A table could not tell: UNKNOWN. Not a mismatch, and never "denied".
4. The prober could not or did not try the flow: SKIPPED.
5. All tables agree: AS_EXPECTED.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from enum import Enum
from functools import partial
from operator import add
from typing import Final

from netprobe.manifests.change import Suggestion
from netprobe.model.flow import Family, Flow
from netprobe.model.matrix import Matrix, T
from netprobe.model.observation import Observation, Outcome
from netprobe.model.policy import Place
from netprobe.model.verdict import Decision, Verdict


class FlowStatus(Enum):
    """The result of comparing a flow; the value is the word in reports."""

    AS_EXPECTED = "as_expected"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"
    UNDEFINED = "undefined"
    SKIPPED = "skipped"


WRONG: Final = (FlowStatus.MISMATCH, FlowStatus.UNKNOWN)
"""What needs attention, the most important first."""


class Mismatch(Enum):
    """Two tables that differ, the one that sets the expectation first."""

    DECLARED_SIMULATED = "declared-simulated"  # the policies or the declaration are wrong
    DECLARED_OBSERVED = "declared-observed"  # the cluster does not do what the author meant
    SIMULATED_OBSERVED = "simulated-observed"  # the CNI, the kernel, a label or a stale rule is wrong


class MismatchKind(Enum):
    """In which direction a flow differs from what is expected."""

    UNEXPECTED_ALLOW = "unexpected_allow"
    UNEXPECTED_DENY = "unexpected_deny"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Why:
    """What decides a flow: a sentence for each side that matters; `place` is that of the first cause."""

    sentences: tuple[str, ...] = ()
    place: Place | None = None

    def __str__(self) -> str:
        return "; ".join(self.sentences)


@dataclass(frozen=True, slots=True)
class Row:
    """One flow in all three tables.

    `declared` is None if no suite declares the flow, `decision` if it was not simulated, `observation` if it
    was not probed. `reason` says why a flow is unknown, undefined or skipped. `why` is empty if the flow was
    not explained. `declared_by` says what declares it: "row" (a row that names both ends), "pattern" (a row
    with `*` or labels), "default", or None. `fix` is a change after which the policies match the declaration.
    """

    flow: Flow
    declared: Verdict | None
    decision: Decision | None
    observation: Observation | None
    status: FlowStatus
    mismatches: tuple[Mismatch, ...] = ()
    kind: MismatchKind | None = None
    reason: str | None = None
    step: int = 0
    why: Why = Why()
    declared_by: str | None = None
    fix: Suggestion | None = None

    @property
    def simulated(self) -> Verdict | None:
        return self.decision.verdict if self.decision else None

    @property
    def observed(self) -> Verdict | None:
        """What the cluster does; None if it was not tried."""
        return _seen(self.observation)

    @property
    def result(self) -> Verdict:
        """The verdict to show for the flow: the observed one, else the simulated one."""
        return self.observed or self.simulated or Verdict.UNKNOWN


@dataclass(frozen=True, slots=True)
class FlowCounts:
    """How many flows have which status."""

    as_expected: int = 0
    mismatches: int = 0
    unknown: int = 0
    undefined: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> FlowCounts:
        numbers = Counter(row.status.value for row in rows)  # a str hashes faster than an Enum
        return cls(*(numbers[status.value] for status in FlowStatus))

    @property
    def flows(self) -> int:
        return sum(astuple(self))

    @property
    def verdict(self) -> FlowStatus:
        """Mismatch before unknown before as expected."""
        if self.mismatches:
            return FlowStatus.MISMATCH
        return FlowStatus.UNKNOWN if self.unknown else FlowStatus.AS_EXPECTED

    @property
    def exit_status(self) -> int:
        """0 as expected, 1 differences found (also when other flows are unknown), 3 could not tell."""
        return {FlowStatus.MISMATCH: 1, FlowStatus.UNKNOWN: 3}.get(self.verdict, 0)

    def __add__(self, other: FlowCounts) -> FlowCounts:
        return FlowCounts(*map(add, astuple(self), astuple(other)))


def compare(
    declared: Matrix[Verdict] | None,
    simulated: Matrix[Decision] | None,
    observed: Matrix[Observation] | None = None,
    *,
    step: int = 0,
) -> tuple[Row, ...]:
    """Compare the tables: a row for each flow in any of them.

    The order is that of `simulated`, followed by flows that only `declared` has, then by those that only
    `observed` has. A cell without a family is for both: it is compared with the IPv4 and the IPv6 cell of a
    table that has them separately.
    """
    return tuple(
        judge(
            flow,
            _cell(declared, flow),
            _cell(simulated, flow),
            _cell(observed, flow),
            probed=observed is not None,
            step=step,
        )
        for flow in _flows(simulated, declared, observed)
    )


def judge(
    flow: Flow,
    declared: Verdict | None,
    decision: Decision | None,
    observation: Observation | None,
    *,
    probed: bool = False,
    step: int = 0,
) -> Row:
    """The row of one flow, by the rule at the top of this module.

    `probed`: the run probes, so that a flow without an observation was left out and counts as skipped.
    """

    row = partial(Row, flow, declared, decision, observation, step=step)
    if decision is not None and decision.undefined is not None:
        return row(FlowStatus.UNDEFINED, reason=decision.undefined)

    seen = _seen(observation)
    simulated = decision.verdict if decision else None
    kinds = {
        # The first pair that differs names the kind: what the cluster does outweighs what the policies say.
        Mismatch.DECLARED_OBSERVED: _kind(declared, seen),
        Mismatch.DECLARED_SIMULATED: _kind(declared, simulated),
        Mismatch.SIMULATED_OBSERVED: _kind(simulated, seen),
    }
    if any(kinds.values()):
        pairs = tuple(pair for pair in Mismatch if kinds[pair])
        return row(FlowStatus.MISMATCH, mismatches=pairs, kind=next(filter(None, kinds.values())))

    if unknown := _why_unknown(decision, observation):
        return row(FlowStatus.UNKNOWN, kind=MismatchKind.INCONCLUSIVE, reason=unknown)
    if observation is not None and seen is None:
        return row(FlowStatus.SKIPPED, reason=observation.reason or "not tried")
    if probed and observation is None:
        return row(FlowStatus.SKIPPED, reason="not probed")
    return row(FlowStatus.AS_EXPECTED)


def _seen(observation: Observation | None) -> Verdict | None:
    tried = observation is not None and observation.outcome is not Outcome.SKIPPED
    return observation.verdict if observation and tried else None


def _why_unknown(decision: Decision | None, observation: Observation | None) -> str | None:
    """Why one of the tables could not tell; None if all could."""
    if observation and _seen(observation) is Verdict.UNKNOWN:
        return observation.reason or "the probe could not tell"
    if decision and decision.verdict is Verdict.UNKNOWN:
        return decision.reason or "the policies do not decide it"
    return None if decision or observation else "neither simulated nor probed"


def _kind(expected: Verdict | None, actual: Verdict | None) -> MismatchKind | None:
    """How two cells differ; None if they agree or one of them does not know."""
    match expected, actual:
        case Verdict.DENY, Verdict.ALLOW:
            return MismatchKind.UNEXPECTED_ALLOW
        case Verdict.ALLOW, Verdict.DENY:
            return MismatchKind.UNEXPECTED_DENY
        case _:
            return None


def _cell(matrix: Matrix[T] | None, flow: Flow) -> T | None:
    if matrix is None:
        return None
    cell = matrix.get(flow)
    if cell is None and flow.family is not None:
        cell = matrix.get(replace(flow, family=None))
    return cell


def _flows(*matrices: Matrix[Verdict] | Matrix[Decision] | Matrix[Observation] | None) -> Iterator[Flow]:
    """Each flow once: by family if any table has the families separately, else without one."""
    found: dict[Flow, dict[Family | None, Flow]] = {}
    for matrix in matrices:
        for flow in matrix or ():
            both = flow if flow.family is None else replace(flow, family=None)
            found.setdefault(both, {})[flow.family] = flow
    families: tuple[Family, ...] = (4, 6)
    for both, by_family in found.items():
        yield from [by_family[family] for family in families if family in by_family] or (both,)
