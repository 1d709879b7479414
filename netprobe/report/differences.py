"""Flows that are not as expected, put together by what is wrong with them and why.

A reason is shown once, with the flows that share it. Sentences name the ends and the port of one flow; in the
reason of several flows, what differs between them becomes "these sources", and so on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netprobe.diff import FlowStatus, Row
from netprobe.report import phrases
from netprobe.run.record import ReportStep

WRONG = (FlowStatus.MISMATCH, FlowStatus.UNKNOWN)
"""What needs attention, the most important first."""
OPEN = (FlowStatus.UNDEFINED, FlowStatus.SKIPPED)
"""What is shown without failing a run."""

MOST_ROWS_MADE = 200_000
"""Rows that are made for their reasons if groups of them are at hand."""


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
            found[row.status].setdefault((_summary(row), *_shapes(row)), []).append(row)
    return [
        Difference(status, key[0], () if status in OPEN else _reasons(some), tuple(some))
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


def _summary(row: Row) -> str:
    return phrases.differing_tables(row) if row.status is FlowStatus.MISMATCH else phrases.mark(row)


_SUGGESTION = re.compile(r"to be (?:allowed|denied): ")


def _shapes(row: Row) -> Iterable[str]:
    """The row's sentences without the names of its flow, and without suggestions, which few rows have."""
    if row.status in OPEN:
        return ()
    return tuple(_shape(row, sentence) for sentence in row.why.sentences if not _SUGGESTION.match(sentence))


_NAMES: tuple[tuple[Callable[[Row], str], str], ...] = (
    # a name of the flow in sentences, and what stands for it if the flows have several
    (lambda row: str(row.flow.source), "these sources"),
    (lambda row: str(row.flow.destination), "these destinations"),
    (lambda row: f"{row.flow.protocol.value} {row.flow.port}", "these ports"),
)


def _shape(row: Row, sentence: str) -> str:
    for number, (name, _) in enumerate(_NAMES):
        sentence = _replaced(sentence, name(row), f"\0{number}")
    return sentence


def _replaced(sentence: str, name: str, by: str) -> str:
    return re.sub(rf"(?<![\w/.:-]){re.escape(name)}(?![\w/-]|\.\w)", lambda _: by, sentence)


def _reasons(rows: list[Row]) -> tuple[str, ...]:
    first = rows[0]
    sentences = [sentence for sentence in first.why.sentences if sentence != first.reason]
    for name, several in _NAMES:
        if len({name(row) for row in rows}) > 1:
            sentences = [
                sentence if _SUGGESTION.match(sentence) else _replaced(sentence, name(first), several)
                for sentence in sentences
            ]
    if len({row.fix.text for row in rows if row.fix is not None}) > 1:
        sentences = [_of_first(first, sentence) for sentence in sentences]
    return tuple(sentences)


def _of_first(row: Row, sentence: str) -> str:
    """A suggestion with the flow that it is for, where other flows have another one."""
    if not _SUGGESTION.match(sentence):
        return sentence
    flow = phrases.flow(row.flow, families=False)
    return f"for {flow} {sentence}; the other flows have suggestions of their own (-o json)"
