"""When a table is stable: rounds as a script, time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from netprobe.model.flow import Flow, PodRef
from netprobe.model.observation import Control, Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe.judge import judge
from netprobe.probe.pace import RETRIES, Pace
from netprobe.probe.settle import Settled, settle
from tests.probe.clock import now, virtually

F, G = (Flow(PodRef("x", "a"), PodRef("x", name), 80) for name in "bc")
PACE = Pace(wait_s=1, settle_s=10)
LETTERS = {".": Outcome.CONNECTED, "X": Outcome.TIMED_OUT, "!": Outcome.EXEC_FAILED}


class Script:
    """Each flow's outcomes, one a try; the last one stays."""

    def __init__(self, outcomes: Mapping[Flow, str]) -> None:
        self.outcomes = {flow: list(text) for flow, text in outcomes.items()}
        self.rounds: list[tuple[Flow, ...]] = []

    async def __call__(self, flows: Sequence[Flow]) -> Mapping[Flow, Observation]:
        self.rounds.append(tuple(flows))
        seen = {flow: self._next(flow) for flow in flows}
        await asyncio.sleep(1)
        return seen

    def _next(self, flow: Flow) -> Observation:
        left = self.outcomes[flow]
        outcome = LETTERS[left.pop(0) if len(left) > 1 else left[0]]
        verdict, reason = judge(outcome, Control("self", "baseline"))
        return Observation(outcome, verdict, Control("self", "baseline"), reason)

    def settle(self, before: Mapping[Flow, Verdict] | None = None, pace: Pace = PACE) -> Settled:
        return virtually(settle(self, tuple(self.outcomes), pace, before))


def verdicts(settled: Settled) -> str:
    return "".join(cell.verdict.mark for cell in settled.cells.values())


def test_two_equal_rounds_are_enough_and_overlap() -> None:
    script = Script({F: ".", G: "X"})

    async def timed() -> tuple[Settled, float]:
        return await settle(script, (F, G), PACE), now()

    settled, elapsed = virtually(timed())
    assert verdicts(settled) == ".X"
    assert script.rounds == [(F, G), (F, G)]
    assert elapsed == 1.3, "both rounds wait out their time-outs together"
    assert settled.last_move is None
    assert [cell.attempts for cell in settled.cells.values()] == [2, 2]


def test_only_what_moved_is_probed_again_then_everything() -> None:
    script = Script({F: ".", G: ".XX"})
    settled = script.settle()
    assert verdicts(settled) == ".X"
    assert script.rounds == [(F, G), (F, G), (G,), (F, G)]
    assert settled.last_move == 0.3, "the round that first saw it began then"


def test_a_late_change_that_only_the_confirming_round_sees_asks_for_another() -> None:
    script = Script({F: "..X", G: ".XX"})
    settled = script.settle()
    assert verdicts(settled) == "XX"
    assert script.rounds == [(F, G), (F, G), (G,), (F, G), (F,), (F, G)]
    assert not any(cell.flaky for cell in settled.cells.values())


def test_a_lost_packet_is_probed_again_but_keeps_nobody_moving() -> None:
    script = Script({F: ".", G: ".XX.XX"})  # G connects again, in the round that confirms
    settled = script.settle()
    assert verdicts(settled) == ".X"
    assert script.rounds[-1] == (G,), "it stood where it had stood: no further full round"
    assert settled.cells[G].flaky
    assert not settled.cells[F].flaky


def test_a_cell_that_ends_where_it_began_does_not_say_when_the_change_was_in_force() -> None:
    assert Script({F: "X.", G: "."}).settle({F: Verdict.ALLOW, G: Verdict.ALLOW}).last_move is None
    assert Script({F: "X.", G: "."}).settle({F: Verdict.DENY, G: Verdict.ALLOW}).last_move == 0.3


def test_a_cell_that_keeps_changing_is_unknown() -> None:
    settled = Script({F: ".X" * 50, G: "X"}).settle()
    assert verdicts(settled) == "?X"
    cell = settled.cells[F]
    assert cell.flaky
    assert cell.reason is not None
    assert cell.reason.startswith("flaky: connected in ")


def test_an_exec_that_always_fails_is_given_up_and_is_unknown() -> None:
    script = Script({F: "!", G: "X"})
    settled = script.settle()
    assert verdicts(settled) == "?X"
    assert settled.cells[F].outcome is Outcome.EXEC_FAILED
    assert settled.cells[F].attempts == RETRIES


def test_two_rounds_are_made_however_long_they_take() -> None:
    script = Script({F: "X", G: "."})
    assert verdicts(script.settle(pace=Pace(settle_s=0.5))) == "X."
    assert script.rounds == [(F, G), (F, G)]


def settled_by_many(script: Script, proven: Collection[Flow]) -> Settled:
    """As where there are many flows: the second round follows the first."""
    pace = replace(PACE, many=1)
    return virtually(settle(script, tuple(script.outcomes), pace, proven=proven.__contains__))


def test_of_many_flows_the_second_round_leaves_out_what_is_proven() -> None:
    script = Script({F: ".", G: "X"})
    settled = settled_by_many(script, {F})
    assert verdicts(settled) == ".X"
    assert script.rounds == [(F, G), (G,)]
    assert [cell.attempts for cell in settled.cells.values()] == [1, 2]
    assert not settled.cells[F].flaky


def test_if_anything_moves_what_was_proven_is_tried_again() -> None:
    script = Script({F: ".X", G: "X.."})
    settled = settled_by_many(script, {F})
    assert verdicts(settled) == "X."
    assert script.rounds == [(F, G), (G,), (G,), (F, G), (F,), (F, G)]
