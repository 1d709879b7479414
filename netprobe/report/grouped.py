"""Many flows in few lines: pods that behave alike share a row, and flows with one reason share its sentences.

Sentences name the ends and the port of one flow; in the reason of several flows, what differs between them
becomes "these sources", and so on.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from netprobe.diff import WRONG, FlowStatus, Row
from netprobe.explain.effects import resolved_flow
from netprobe.explain.text import NO_CHANGE, side_effects
from netprobe.manifests.change import Suggestion
from netprobe.model.flow import End, Flow
from netprobe.model.text import plain
from netprobe.model.verdict import Verdict
from netprobe.report import phrases
from netprobe.report.style import Detail
from netprobe.run.record import LONGEST, FlowGroup, ReportStep, group_note, port_text

OPEN = (FlowStatus.UNDEFINED, FlowStatus.SKIPPED)
"""What is shown without failing a run."""
MOST_CHANGES = 8
"""Changes that are shown with one reason."""
MOST_ROWS_MADE = 200_000
"""Rows that are made for their reasons if groups of them are at hand."""
_ADVICE = re.compile(r"to be (?:allowed|denied): |" + re.escape(NO_CHANGE))
"""Begins the advice among the sentences of a row, which may differ between flows with one reason."""
_NAMES: tuple[tuple[Callable[[Row], str], str], ...] = (
    # a name of the flow in sentences, and what replaces it if the flows have several
    (lambda row: str(row.flow.source), "these sources"),
    (lambda row: str(row.flow.destination), "these destinations"),
    (lambda row: f"{row.flow.protocol.value} {row.flow.port}", "these ports"),
)


def rows_or_groups(
    step: ReportStep, detail: Detail = Detail.AUTO
) -> tuple[tuple[Row, ...], tuple[FlowGroup, ...]]:
    """The rows of a step, or if there are more than LONGEST, groups of them."""
    if detail is Detail.ALL:
        return tuple(step.rows), ()
    if step.groups is not None:
        return (), step.groups
    held = tuple(islice(step.rows, LONGEST + 1))
    if detail is Detail.GROUPS or len(held) > LONGEST:
        return (), groups(tuple(step.rows))
    return held, ()


def alike(rows: Sequence[Row]) -> dict[End, int]:
    """A class for each end; ends of one class have the same results to and from the same classes.

    The coarsest such partition, by refinement: each round is one pass over the rows, and there are rarely
    more than four.
    """
    ends = dict.fromkeys(end for row in rows for end in (row.flow.source, row.flow.destination))
    classes = dict.fromkeys(ends, 0)
    while True:
        seen: dict[End, set[tuple[object, ...]]] = {end: set() for end in ends}
        for row in rows:
            flow = row.flow
            port = (flow.port, flow.protocol, flow.family, flow.via, flow.placement)
            cell = (*port, row.result, _note(row))
            seen[flow.source].add(("to", classes[flow.destination], *cell))
            seen[flow.destination].add(("from", classes[flow.source], *cell))
        numbers: dict[tuple[int, frozenset[tuple[object, ...]]], int] = {}
        refined = {
            end: numbers.setdefault((classes[end], frozenset(cells)), len(numbers))
            for end, cells in seen.items()
        }
        if len(numbers) == len(set(classes.values())):
            return refined
        classes = refined


def _note(row: Row) -> str:
    return group_note(row.status, row.decision.qualified_by if row.decision else ())


def label(members: Sequence[End]) -> str:
    """The first member, and the number of the others: "shop/cart +3"."""
    more = f" +{len(members) - 1}" if len(members) > 1 else ""
    return plain(str(members[0])) + more


def groups(rows: Sequence[Row]) -> tuple[FlowGroup, ...]:
    """One group for each pair of classes, port and result, in the order of their first flow."""
    classes = alike(rows)
    members: dict[int, list[End]] = defaultdict(list)
    for end, number in classes.items():
        members[number].append(end)
    families = phrases.has_both_families(rows)
    flows: Counter[tuple[int, int, str, Verdict, str]] = Counter()
    for row in rows:
        ends = classes[row.flow.source], classes[row.flow.destination]
        flows[(*ends, port_text(row.flow, families), row.result, _note(row))] += 1
    return tuple(
        FlowGroup(label(members[source]), label(members[to]), port, result, number, note)
        for (source, to, port, result, note), number in flows.items()
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Flows that have one status and one reason. `summary` says where to look, `reasons` what decides."""

    status: FlowStatus
    summary: str
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]


def differences(rows: Iterable[Row], statuses: Iterable[FlowStatus] = WRONG) -> list[Difference]:
    """By status in that order, then in the order of the rows."""
    found: dict[FlowStatus, dict[tuple[str, ...], list[Row]]] = {status: {} for status in statuses}
    for row in rows:
        if row.status in found:
            wrong = row.status is FlowStatus.MISMATCH
            summary = phrases.differing_tables(row) if wrong else phrases.mark(row)
            sentences = () if row.status in OPEN else _reason(row)
            key = (summary, *(_shape(row, sentence) for sentence in sentences))
            found[row.status].setdefault(key, []).append(row)
    advice = _Advice()
    return [
        Difference(status, key[0], () if status in OPEN else (*_reasons(some), *advice.on(some)), tuple(some))
        for status, by_reason in found.items()
        for key, some in by_reason.items()
    ]


def wrong(step: ReportStep, rows: Iterable[Row] = ()) -> list[Difference]:
    """What needs attention in a step. `rows`: its rows, if they are at hand.

    Nothing if the step has groups instead, and more rows than anyone reads: making them could take minutes.
    """
    if not (step.counts.mismatches or step.counts.unknown):
        return []
    if step.groups is not None and step.counts.flows > MOST_ROWS_MADE:
        return []
    return differences(rows or step.rows)


def _reason(row: Row) -> Iterator[str]:
    """The row's sentences before its advice."""
    return takewhile(lambda sentence: not _ADVICE.match(sentence), row.why.sentences)


def _shape(row: Row, sentence: str) -> str:
    """A sentence without the names of the row's flow."""
    for number, (name, _) in enumerate(_NAMES):
        sentence = _replaced(sentence, name(row), f"\0{number}")
    return sentence


def _replaced(sentence: str, name: str, by: str) -> str:
    return re.sub(rf"(?<![\w/.:-]){re.escape(name)}(?![\w/-]|\.\w)", lambda _: by, sentence)


def _reasons(rows: list[Row]) -> Iterable[str]:
    first = rows[0]
    sentences = [sentence for sentence in _reason(first) if sentence != first.reason]
    for name, several in _NAMES:
        if len({name(row) for row in rows}) > 1:
            sentences = [_replaced(sentence, name(first), several) for sentence in sentences]
    return sentences


class _Advice:
    """Which changes to show with a reason: as few as resolve its flows, each with its flows."""

    def __init__(self) -> None:
        self._resolving: dict[Flow, tuple[Suggestion, Row]] = {}

    def on(self, rows: Sequence[Row]) -> Iterator[str]:
        """Sentences about flows with one reason. A change that was shown before comes without its effects."""
        chosen: dict[str, tuple[Suggestion, Row, list[Row]]] = {}
        left: list[Row] = []
        for row in rows:
            key = resolved_flow(row.flow)
            known = self._resolving.get(key)
            if known is None and row.fix is not None:
                known = row.fix, row
                self._resolving |= {one: self._resolving.get(one, known) for one in (key, *row.fix.resolves)}
            if known is None:
                left.append(row)
            else:
                chosen.setdefault(known[0].text, (*known, []))[2].append(row)
        some = len(chosen) > 1 or bool(left)
        for fix, first, own in islice(chosen.values(), MOST_CHANGES):
            which = f", {_listed_flows(own)}" if some else ""
            same = "" if first in own else f", as for {phrases.flow(first.flow, families=False)}"
            yield f"{fix.aim}{which}: {fix.text}{same}"
            if not same:
                yield from side_effects(fix.effects, resolved=False)
        if len(chosen) > MOST_CHANGES:
            yield f"and {len(chosen) - MOST_CHANGES} more changes: `netprobe simulate --diff` prints them all"
        if not_found := [row for row in left if NO_CHANGE in row.why.sentences]:
            which = f"{_listed_flows(not_found)}: " if chosen or len(not_found) < len(left) else ""
            yield f"{which}{NO_CHANGE}"


def _listed_flows(rows: Sequence[Row]) -> str:
    more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
    return f"{phrases.flow(rows[0].flow, families=False)}{more}"
