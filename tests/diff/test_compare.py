"""Every combination of declared, simulated and observed, as tables that a person can check."""

from __future__ import annotations

import pytest

from netprobe.diff import Counts, FlowStatus, Mismatch, MismatchKind, Row, compare
from netprobe.model.flow import Flow, PodRef
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


@pytest.mark.parametrize(("declared", "simulated", "observed", "cell"), cells())
def test_the_status_of_a_flow(declared: str, simulated: str, observed: str, cell: str) -> None:
    if (declared, simulated) == ("-", "-") and observed in {"-", "out"}:
        assert compared(declared, simulated, observed) == ()  # no table holds the flow
        return
    (row,) = compared(declared, simulated, observed)

    if cell in STATUS:
        assert row.status is STATUS[cell]
        assert row.mismatches == ()
        assert row.kind is (MismatchKind.INCONCLUSIVE if cell == "?" else None)
    else:
        assert row.status is FlowStatus.MISMATCH
        assert row.mismatches == tuple(PAIRS[pair] for pair in cell[:-1].split(","))
        assert row.kind is KINDS[cell[-1]]
    assert (row.reason is None) == (row.status in {FlowStatus.AS_EXPECTED, FlowStatus.MISMATCH})


def test_the_grid_holds_every_combination() -> None:
    assert {cell[:3] for cell in cells()} == {
        (d, s, o) for d in DECLARED for s in SIMULATED for o in (*OBSERVED, "out")
    }


@pytest.mark.parametrize(
    ("counts", "verdict", "exit_status"),
    [
        pytest.param(Counts(), FlowStatus.AS_EXPECTED, 0, id="nothing to compare"),
        pytest.param(Counts(as_expected=3), FlowStatus.AS_EXPECTED, 0, id="as expected"),
        pytest.param(Counts(undefined=1, skipped=2), FlowStatus.AS_EXPECTED, 0, id="undefined never fails"),
        pytest.param(Counts(as_expected=9, unknown=1), FlowStatus.UNKNOWN, 3, id="could not tell"),
        pytest.param(Counts(mismatches=1), FlowStatus.MISMATCH, 1, id="differs"),
        pytest.param(Counts(mismatches=1, unknown=5), FlowStatus.MISMATCH, 1, id="differs: 1 wins over 3"),
    ],
)
def test_the_exit_status(counts: Counts, verdict: FlowStatus, exit_status: int) -> None:
    assert (counts.verdict, counts.exit_status) == (verdict, exit_status)


@pytest.mark.parametrize(
    ("simulated", "observed", "result"),
    [
        pytest.param(".", "X", DENY, id="what was seen"),
        pytest.param(".", "-", ALLOW, id="else what the policies say"),
        pytest.param(".", "skip", ALLOW, id="a flow that was not tried was not seen"),
        pytest.param(".", "?", UNKNOWN, id="a failed probe is no answer, and not the simulator's"),
    ],
)
def test_the_one_word_for_a_flow(simulated: str, observed: str, result: Verdict) -> None:
    (row,) = compared("-", simulated, observed)
    assert row.result is result


def flow(port: int, family: int | None = None) -> Flow:
    match family:
        case 4 | 6:
            return Flow(FLOW.source, FLOW.destination, port, family=family)
        case _:
            return Flow(FLOW.source, FLOW.destination, port)


def test_rows_keep_the_order_of_the_simulation_then_of_what_it_lacks() -> None:
    found = compare(
        Matrix([(flow(4), ALLOW), (flow(1), ALLOW)]),
        Matrix([(flow(3), Decision(ALLOW)), (flow(1), Decision(ALLOW))]),
        Matrix([(flow(5), DROPPED), (flow(3), CONNECTED)]),
    )
    assert [row.flow.port for row in found] == [3, 1, 4, 5]


def test_a_cell_without_a_family_stands_for_both() -> None:
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
