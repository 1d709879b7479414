"""The judgement, as the table "Reading a probe" has it."""

from __future__ import annotations

import pytest

from netprobe.model.observation import Control, Outcome
from netprobe.probe import judge as j
from netprobe.probe.judge import ALLOW, DENY, UNKNOWN, VERDICTS, judge

NEITHER, LISTENER, PATH, BOTH = (
    Control(),
    Control(listener="self"),
    Control(path="baseline"),
    Control("peer", "baseline"),
)

param, O = pytest.param, Outcome  # noqa: E741
NO_PATH, NO_LISTENER, REJECTED = (UNKNOWN, j.PATH), (UNKNOWN, j.LISTENER), (DENY, j.REJECTED)
NO_ROUTE = (UNKNOWN, j.ROUTE)

ROWS = [
    #     outcome                neither      listener     path         both
    param(O.CONNECTED,           *[(ALLOW, None)] * 4),
    param(O.TIMED_OUT,           NO_PATH,     NO_PATH,     NO_LISTENER, (DENY, None)),
    param(O.REFUSED,             NO_LISTENER, NO_PATH,     NO_LISTENER, REJECTED),
    param(O.HOST_UNREACHABLE,    NO_LISTENER, NO_PATH,     NO_LISTENER, REJECTED),
    param(O.NETWORK_UNREACHABLE, NO_ROUTE,    NO_ROUTE,    NO_LISTENER, REJECTED),
    param(O.NO_SUCH_NAME,        *[(UNKNOWN, j.DNS)] * 4),
    param(O.EXEC_FAILED,         *[(UNKNOWN, j.EXEC)] * 4),
    param(O.SKIPPED,             *[(UNKNOWN, j.SKIPPED)] * 4),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "neither", "listener", "path", "both"), ROWS)
def test_reading_a_probe(
    outcome: Outcome, neither: object, listener: object, path: object, both: object
) -> None:
    seen = [judge(outcome, control) for control in (NEITHER, LISTENER, PATH, BOTH)]
    assert seen == [neither, listener, path, both]


def test_the_table_has_every_row() -> None:
    assert VERDICTS.keys() == set(Outcome)
    assert {row.values[0] for row in ROWS} == set(Outcome)
    assert {len(row) for row in VERDICTS.values()} == {4}
