"""probe.sh for real, in this machine's shell with this machine's nc, over loopback."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from netprobe.model.flow import Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import netcat
from netprobe.probe.netcat import AnswerLine, FirstLine, LastLine, Target
from netprobe.probe.pace import CLUSTER, LAB, LAB_BULK, Method, Pace

pytestmark = [
    pytest.mark.skipif(shutil.which("nc") is None, reason="no nc on this machine"),
    pytest.mark.flaky(reruns=2),  # real connections within half a second, on a machine that may stall
]
HERE = "127.0.0.1"


@contextmanager
def served(protocol: Protocol) -> Iterator[int]:
    """A port that accepts (TCP), or answers one byte to each datagram (UDP)."""
    kind = socket.SOCK_STREAM if protocol is Protocol.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind((HERE, 0))
        port: int = listener.getsockname()[1]
        if protocol is Protocol.TCP:
            listener.listen()
            yield port
            return

        def answer() -> None:
            while (received := listener.recvfrom(64))[0] != b"end":
                listener.sendto(b"x", received[1])

        thread = Thread(target=answer)
        thread.start()
        try:
            yield port
        finally:
            with socket.socket(socket.AF_INET, kind) as last:
                last.sendto(b"end", (HERE, port))
            thread.join()


@contextmanager
def silent(protocol: Protocol) -> Iterator[int]:
    """A port that is taken and says nothing: no listen (TCP: refused), no answer (UDP)."""
    kind = socket.SOCK_STREAM if protocol is Protocol.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind((HERE, 0))
        yield holder.getsockname()[1]


async def run(command: Sequence[str], given: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(given.encode())
    return out.decode().splitlines()


def closed_port() -> int:
    with silent(Protocol.UDP) as port:
        return port


BULK = replace(LAB_BULK, resend=True)


@pytest.mark.parametrize(
    ("wait_s", "method"),
    [
        pytest.param(0.5, CLUSTER, id="half a second"),
        pytest.param(1, CLUSTER, id="one second"),
        pytest.param(1, replace(LAB, latencies=False), id="lab"),
        pytest.param(1, LAB_BULK, id="bulk"),
        pytest.param(0.5, LAB_BULK, id="bulk, half a second"),
    ],
)
async def test_each_target_is_answered_once_and_the_end_counts_them(wait_s: float, method: Method) -> None:
    with ExitStack() as stack:
        targets = {
            Target(HERE, stack.enter_context(served(Protocol.TCP))): Outcome.CONNECTED,
            Target(HERE, stack.enter_context(silent(Protocol.TCP))): Outcome.REFUSED,
            Target(HERE, stack.enter_context(served(Protocol.UDP)), Protocol.UDP): Outcome.CONNECTED,
            Target(HERE, stack.enter_context(silent(Protocol.UDP)), Protocol.UDP): Outcome.TIMED_OUT,
            Target(HERE, closed_port(), Protocol.UDP): Outcome.REFUSED,
            Target("nosuch.invalid", 80): Outcome.NO_SUCH_NAME,
            Target(HERE, 80, Protocol.SCTP): Outcome.SKIPPED,
        }
        given = "".join(netcat.line(n, target) for n, target in enumerate(targets))
        command = netcat.command(Pace(wait_s=wait_s, method=method))
        lines = await run(command, given + netcat.REAP + netcat.CLOSE)
    begin, *answers, end = [netcat.read(line) for line in lines]
    assert isinstance(begin, FirstLine)
    assert method.latencies or not begin.fine_clock
    assert end == LastLine(len(targets))
    outcomes = {}
    for said in answers:
        assert isinstance(said, AnswerLine)
        target = list(targets)[said.id]
        outcomes[target] = netcat.answer(target.protocol, said, fine_clock=begin.fine_clock).outcome
    assert outcomes == targets


@pytest.mark.parametrize("method", [CLUSTER, BULK])
async def test_many_targets_at_once(method: Method) -> None:
    with served(Protocol.TCP) as port:
        given = "".join(netcat.line(n, Target(HERE, port)) for n in range(60)) + netcat.CLOSE
        lines = await run(netcat.command(Pace(method=method)), given)
    said = [netcat.read(line) for line in lines]
    assert {one.id for one in said if isinstance(one, AnswerLine) and one.status == 0} == set(range(60))
    assert said[-1] == LastLine(60)


async def test_in_bulk_each_answer_is_that_of_its_own_target() -> None:
    """In two goes: the files in which nc's words are kept are used again."""
    with served(Protocol.TCP) as port:
        targets = [Target(HERE, port), Target(HERE, closed_port()), Target("nosuch.invalid", 80)]
        asked = [netcat.line(n, target) for n, target in enumerate(targets + targets[::-1])]
        given = "".join([*asked[:3], netcat.REAP, *asked[3:], netcat.REAP, netcat.REAP, netcat.CLOSE])
        lines = await run(netcat.command(Pace(method=LAB_BULK)), given)
    said = {one.id: one for one in map(netcat.read, lines) if isinstance(one, AnswerLine)}
    outcomes = [netcat.outcome_of(Protocol.TCP, said[n].status, said[n].text) for n in range(6)]
    first = [Outcome.CONNECTED, Outcome.REFUSED, Outcome.NO_SUCH_NAME]
    assert outcomes == first + first[::-1]
    assert len(said) == len(lines) - 2, "one answer each, a begin and an end"


async def test_in_bulk_words_that_are_lost_are_no_refusal(tmp_path: Path) -> None:
    """As where the pod's /tmp is full: nc ends with 1, and nothing of what it said is there."""
    mute = tmp_path / "nc"
    mute.write_text(f'#!/bin/sh\ncase " $* " in *" -zvv "*) exit 1 ;; esac\nexec {shutil.which("nc")} "$@"\n')
    mute.chmod(0o755)
    command = netcat.command(Pace(method=LAB_BULK))
    given = netcat.line(1, Target(HERE, closed_port(), Protocol.TCP)) + netcat.REAP + netcat.CLOSE
    lines = await run(["sh", "-c", f'PATH={tmp_path}:$PATH; exec "$@"', "sh", *command], given)
    (said,) = (one for one in map(netcat.read, lines) if isinstance(one, AnswerLine))
    assert netcat.answer(Protocol.TCP, said, fine_clock=False).outcome is Outcome.EXEC_FAILED
