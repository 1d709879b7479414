"""Every combination of declared, simulated and observed, as tables that a person can check."""

from __future__ import annotations

from netprobe.diff import FlowCounts, FlowStatus, Mismatch, MismatchKind, Row, compare
from netprobe.model.flow import Family, Flow, PodRef
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation, Outcome
from netprobe.model.verdict import Decision, Verdict

ALLOW, DENY, UNKNOWN = Verdict.ALLOW, Verdict.DENY, Verdict.UNKNOWN
FLOW = Flow(PodRef("x", "a"), PodRef("y", "b"), 80)

DECLARED = {"-": None, ".": ALLOW, "X": DENY}
SIMULATED = {
    "-": None,
    ".": Decision(ALLOW),
    "X": Decision(DENY),
    "?": Decision(UNKNOWN, reason="no ready endpoint"),
    "~": Decision(ALLOW, undefined="host network"),
}
CONNECTED = Observation(Outcome.CONNECTED, ALLOW)
DROPPED = Observation(Outcome.TIMED_OUT, DENY)
OBSERVED = {
    "-": None,
    ".": CONNECTED,
    "X": DROPPED,
    "?": Observation(Outcome.EXEC_FAILED, UNKNOWN, reason="stream cut"),
    "skip": Observation(Outcome.SKIPPED, UNKNOWN, reason="no SCTP"),
}

# `=` as expected, `?` unknown, `~` undefined, `s` skipped; else the mismatch: D S O are the tables
# that differ, `+` where it goes towards allow and `-` towards deny. "-" as a column: nobody probed;
# "out": the run probed, but not this flow.
GRID = """
declared  simulated |  -        out      skip     ?        .          X
-         -         |  ?        ?        s        ?        =          =
-         .         |  =        s        s        ?        =          SO-
-         X         |  =        s        s        ?        SO+        =
-         ?         |  ?        ?        ?        ?        ?          ?
-         ~         |  ~        ~        ~        ~        ~          ~
.         -         |  ?        ?        s        ?        =          DO-
.         .         |  =        s        s        ?        =          DO,SO-
.         X         |  DS-      DS-      DS-      DS-      DS,SO-     DS,DO-
.         ?         |  ?        ?        ?        ?        ?          DO-
.         ~         |  ~        ~        ~        ~        ~          ~
X         -         |  ?        ?        s        ?        DO+        =
X         .         |  DS+      DS+      DS+      DS+      DS,DO+     DS,SO+
X         X         |  =        s        s        ?        DO,SO+     =
X         ?         |  ?        ?        ?        ?        DO+        ?
X         ~         |  ~        ~        ~        ~        ~          ~
"""
STATUS = {
    "=": FlowStatus.AS_EXPECTED,
    "?": FlowStatus.UNKNOWN,
    "~": FlowStatus.UNDEFINED,
    "s": FlowStatus.SKIPPED,
}
PAIRS = {
    "DS": Mismatch.DECLARED_SIMULATED,
    "DO": Mismatch.DECLARED_OBSERVED,
    "SO": Mismatch.SIMULATED_OBSERVED,
}
KINDS = {"+": MismatchKind.UNEXPECTED_ALLOW, "-": MismatchKind.UNEXPECTED_DENY}


def cells() -> list[tuple[str, str, str, str]]:
    lines = [line.replace("|", " ").split() for line in GRID.strip().splitlines()]
    columns = lines[0][2:]
    return [
        (line[0], line[1], o, cell) for line in lines[1:] for o, cell in zip(columns, line[2:], strict=True)
    ]


def compared(declared: str, simulated: str, observed: str) -> tuple[Row, ...]:
    meant, decision = DECLARED[declared], SIMULATED[simulated]
    seen = None if observed == "out" else OBSERVED[observed]
    return compare(
        Matrix([(FLOW, meant)]) if meant else None,
        Matrix([(FLOW, decision)]) if decision else Matrix(),
        None if observed == "-" else Matrix([(FLOW, seen)] if seen else []),
    )


def output(row: Row) -> str:
    """A row as the grid writes it."""
    for sign, status in STATUS.items():
        if row.status is status:
            assert row.mismatches == ()
            assert row.kind is (MismatchKind.INCONCLUSIVE if sign == "?" else None)
            assert (row.reason is None) == (sign == "=")
            return sign
    assert row.reason is None
    pairs = {pair: word for word, pair in PAIRS.items()}
    (sign,) = (sign for sign, kind in KINDS.items() if row.kind is kind)
    return ",".join(pairs[pair] for pair in row.mismatches) + sign


def test_the_status_of_a_flow() -> None:
    wrong = []
    for declared, simulated, observed, cell in cells():
        found = compared(declared, simulated, observed)
        if (declared, simulated) == ("-", "-") and observed in {"-", "out"}:
            assert found == ()  # no table holds the flow
        elif [output(row) for row in found] != [cell]:
            wrong.append((declared, simulated, observed, cell, found))
    assert not wrong
    combinations = {(d, s, o) for d in DECLARED for s in SIMULATED for o in (*OBSERVED, "out")}
    assert {cell[:3] for cell in cells()} == combinations


def test_the_exit_status() -> None:
    for counts, verdict, exit_status in (
        (FlowCounts(), FlowStatus.AS_EXPECTED, 0),
        (FlowCounts(as_expected=3, undefined=1, skipped=2), FlowStatus.AS_EXPECTED, 0),
        (FlowCounts(as_expected=9, unknown=1), FlowStatus.UNKNOWN, 3),
        (FlowCounts(mismatches=1, unknown=5), FlowStatus.MISMATCH, 1),
    ):
        assert (counts.verdict, counts.exit_status) == (verdict, exit_status)


def test_the_one_word_for_a_flow() -> None:
    """What was seen; else what the policies say. A failed probe is no answer, and not the simulator's."""
    words = {"X": DENY, "-": ALLOW, "skip": ALLOW, "?": UNKNOWN}
    assert {seen: compared("-", ".", seen)[0].result for seen in words} == words


def flow(port: int, family: Family | None = None) -> Flow:
    return Flow(FLOW.source, FLOW.destination, port, family=family)


def test_rows_keep_the_order_of_the_simulation_then_of_what_it_lacks() -> None:
    found = compare(
        Matrix([(flow(4), ALLOW), (flow(1), ALLOW)]),
        Matrix([(flow(3), Decision(ALLOW)), (flow(1), Decision(ALLOW))]),
        Matrix([(flow(5), DROPPED), (flow(3), CONNECTED)]),
    )
    assert [row.flow.port for row in found] == [3, 1, 4, 5]


def test_a_cell_without_a_family_represents_both() -> None:
    found = compare(
        Matrix([(flow(80), DENY), (flow(81), DENY)]),
        Matrix([(flow(80, 4), Decision(ALLOW)), (flow(80, 6), Decision(DENY)), (flow(81), Decision(DENY))]),
        Matrix([(flow(81, 6), CONNECTED)]),
    )
    assert [(row.flow.port, row.flow.family, row.status) for row in found] == [
        (80, 4, FlowStatus.MISMATCH),
        (80, 6, FlowStatus.SKIPPED),
        (81, 6, FlowStatus.MISMATCH),
    ]
    assert [row.declared for row in found] == [DENY, DENY, DENY]
