"""How long a session is waited for: as long as answers come."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from netprobe.model.flow import PodRef
from netprobe.model.observation import Outcome
from netprobe.probe.netcat import Target
from netprobe.probe.pace import Method, Pace
from netprobe.probe.plan import Batch, Station
from netprobe.probe.session import Answers, Sessions
from tests.probe.clock import now, virtually
from tests.probe.fake import OPEN, SILENT, FakeCluster

SOURCE = Station(PodRef("x", "a"), "x", "a", "probe", (ip_address("10.0.0.1"),))
TARGETS = tuple(Target("192.0.2.1", port) for port in range(1, 41))
PACE = Pace(start_s=2, method=Method(window=1, second_try=None))


def ask(cluster: FakeCluster, targets: Sequence[Target]) -> tuple[Answers, float]:
    async def asked() -> tuple[Answers, float]:
        sessions = Sessions(cluster, PACE, keep=False)
        begun = now()
        answers = await sessions.run([Batch(SOURCE, tuple(targets))])
        return answers, now() - begun

    return virtually(asked())


def test_a_long_list_may_take_its_time() -> None:
    answers, took_s = ask(FakeCluster(), TARGETS)
    assert {answer.outcome for answer in answers.values()} == {Outcome.TIMED_OUT}
    assert took_s > 3 * PACE.quiet_s


def test_silence_ends_it_and_what_was_answered_counts() -> None:
    """Each target after the fifth is one that the shell says nothing of."""

    class Hanging(FakeCluster):
        def try_once(self, source: str, host: str, port: int, protocol: str) -> str:
            del source, host, protocol
            return OPEN if port <= 5 else self.hang()

        def hang(self) -> str:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # this answer never comes
            return SILENT

    answers, took_s = ask(Hanging(), TARGETS)
    outcomes = {target.port: answer.outcome for (_, target), answer in answers.items()}
    assert list(outcomes) == list(range(1, 41))
    assert {outcomes[port] for port in range(1, 6)} == {Outcome.CONNECTED}
    assert {outcomes[port] for port in range(6, 41)} == {Outcome.EXEC_FAILED}
    assert answers[SOURCE, TARGETS[-1]].text == f"no further answer within {PACE.quiet_s:g} s"
    assert PACE.quiet_s <= took_s < 2 * PACE.quiet_s
