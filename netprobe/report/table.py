"""The report for a terminal: `table` with the essentials, `wide` with everything that is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from netprobe.diff import FlowStatus, Row
from netprobe.model.flow import End
from netprobe.model.verdict import Verdict
from netprobe.report import phrases
from netprobe.report.alike import alike, label, rows_or_groups
from netprobe.report.escape import plain
from netprobe.report.style import BAD, BOLD, BOLD_BAD, GOOD, UNSURE, Style, status_colour
from netprobe.report.tables import aligned
from netprobe.run.record import FlowGroup, Report, ReportStep, port_text

MOST_GROUPS = 500
MOST_EXPLAINED = 50
"""Mismatches that are explained below the table; the other formats hold them all."""
MOST_SINGLE = 20
"""Ends that have a line of their own in a matrix; with more, ends that behave alike share one."""
MOST_COLUMNS = 40
"""Columns of a matrix; a wider one is unreadable."""

_COLOURS = {Verdict.ALLOW: GOOD, Verdict.DENY: BAD, Verdict.UNKNOWN: UNSURE}


def table(report: Report, style: Style) -> Iterator[str]:
    """From, To, Port, Result, and a note on flows that are not simply as expected."""
    return _report(report, style, wide=False)


def wide(report: Report, style: Style) -> Iterator[str]:
    """The same with declared, simulated, observed and why, and a matrix for each port."""
    return _report(report, style, wide=True)


def _report(report: Report, style: Style, *, wide: bool) -> Iterator[str]:
    yield style.paint(plain(phrases.title(report)), BOLD) + "\n"
    if report.enforcement:
        yield style.paint(plain(report.enforcement), BOLD_BAD) + "\n"
    for index, step in enumerate(report.steps):
        yield "\n"
        if len(report.steps) > 1:
            yield style.paint(plain(phrases.step_title(report, index)), BOLD) + "\n\n"
        yield from _step(step, style, wide=wide)
    yield "\n"
    yield from (plain(sentence) + "\n" for sentence in phrases.in_place(report))
    for problem in report.problems:
        yield style.paint(f"problem: {plain(problem)}", UNSURE) + "\n"
    yield style.paint(phrases.closing(report), status_colour(report.exit_status)) + "\n"


def _step(step: ReportStep, style: Style, *, wide: bool) -> Iterator[str]:
    rows, groups = rows_or_groups(step)
    if groups:
        yield from _groups(groups, style)
    elif not rows:
        yield "No flow to show.\n"
    else:
        yield from _rows(rows, style, wide=wide)
        if wide:
            yield "\n"
            yield from (line + "\n" for line in matrices(rows))
    if step.counts.mismatches:
        yield from _explained(rows or step.rows, style)


def _rows(rows: Sequence[Row], style: Style, *, wide: bool) -> Iterator[str]:
    families = phrases.has_both_families(rows)
    details_header = ("Declared", "Simulated", "Observed", "Why") if wide else ("",)
    header = ("From", "To", "Port", "Result", *details_header)
    lines = []
    for row in rows:
        details = (*phrases.verdicts(row), _why(row)) if wide else (phrases.note(row),)
        lines.append((*phrases.ends(row, families), phrases.verdict(row.result), *details))
    last = len(header) - 1
    colours = [
        {3: _COLOURS[row.result]} | ({last: BOLD_BAD} if row.status is FlowStatus.MISMATCH else {})
        for row in rows
    ]
    return aligned(header, lines, colours, style)


def _why(row: Row) -> str:
    reasons = (sentence for sentence in row.why.sentences if sentence != row.reason)
    return "; ".join(filter(None, (phrases.mark(row), *reasons)))


def _groups(groups: Sequence[FlowGroup], style: Style) -> Iterator[str]:
    shown = groups[:MOST_GROUPS]
    colours = [{3: _COLOURS[g.result], 5: BOLD_BAD} for g in shown]
    yield "Pods that behave alike share a row.\n"
    yield from aligned(
        ("From", "To", "Port", "Result", "Flows", ""), map(phrases.group, shown), colours, style
    )
    if more := len(groups) - len(shown):
        yield f"and {more:,} more rows: select some with --from, --to and --port; -o json has every flow\n"


def _explained(rows: Iterable[Row], style: Style) -> Iterator[str]:
    """Each mismatch, with the policies and rules that decide it."""
    families = phrases.has_both_families(rows)
    mismatches = (row for row in rows if row.status is FlowStatus.MISMATCH)
    for number, row in enumerate(islice(mismatches, MOST_EXPLAINED)):
        yield "\n" if number == 0 else ""
        mismatch = f"MISMATCH {phrases.flow(row.flow, families)}: {phrases.tables(row)}"
        yield style.paint(plain(mismatch), BAD) + "\n"
        yield f"  {phrases.differing_tables(row)}\n"
        yield from (f"  {plain(sentence)}\n" for sentence in row.why.sentences)
    if more := sum(1 for _ in mismatches):
        yield f"and {more:,} more mismatches: -o json has them all\n"


def matrices(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of one matrix for each port, in the order in which the ports first appear: sources down,
    destinations across."""
    ends = dict.fromkeys(end for row in rows for end in (row.flow.source, row.flow.destination))
    classes = {end: number for number, end in enumerate(ends)} if len(ends) <= MOST_SINGLE else alike(rows)
    members: dict[int, list[End]] = defaultdict(list)
    for end, number in classes.items():
        members[number].append(end)
    families = phrases.has_both_families(rows)
    by_port: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        via = row.flow.via.value
        way = ("" if via == "pod" else f" by {via}") + phrases.placement(row.flow)
        by_port[port_text(row.flow, families) + way].append(row)
    yield "Sources down, destinations across: . allow, X deny, ? unknown, * differs from pod to pod"
    for port, of_port in by_port.items():
        yield ""
        yield f"Port {port}"
        yield from _matrix(of_port, classes, members)


def _matrix(rows: Iterable[Row], classes: dict[End, int], members: dict[int, list[End]]) -> Iterator[str]:
    marks: dict[tuple[int, int], str] = {}
    for row in rows:
        key = classes[row.flow.source], classes[row.flow.destination]
        mark = row.result.mark
        marks[key] = mark if marks.get(key, mark) == mark else "*"
    sources = dict.fromkeys(source for source, _ in marks)
    destinations = dict.fromkeys(destination for _, destination in marks)
    if len(destinations) > MOST_COLUMNS:
        size = f"{len(sources)} x {len(destinations)} kinds of pod"
        yield f"  {size}: too wide to draw; select some with --from and --to"
        return
    numbers = {group: number for number, group in enumerate({**sources, **destinations}, start=1)}
    across = sorted(destinations, key=numbers.__getitem__)
    names = {group: f"{numbers[group]:>3} {label(members[group])}" for group in numbers}
    width = max(map(len, names.values()))
    yield f"{'':{width}}  " + " ".join(f"{numbers[group]:>2}" for group in across)
    for group, name in names.items():
        line = " ".join(f"{marks.get((group, to), ''):>2}" for to in across)
        yield f"{name:{width}}  {line}".rstrip()
