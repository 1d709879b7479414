"""Signals that end a command: Ctrl-C, SIGTERM, and SIGHUP, which comes when its terminal is closed.

The first one cancels what is going on, and the command removes what it created. The second one ends the
command at once; what is left is printed. A signal that was ignored at the start (as under nohup, or Ctrl-C in
the background of a shell) stays ignored.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal has ended the command. `at_once`: it was the second one, so nothing has been removed."""

    def __init__(self, number: int, *, at_once: bool = False) -> None:
        super().__init__()
        self.number = number
        self.at_once = at_once


class _State:
    number: int = signal.SIGINT  # the last signal
    abandoned: asyncio.Runner | None = None  # after a second one; kept, so that nothing of it is collected


def status(error: KeyboardInterrupt | None = None) -> int:
    """The exit status of a program that the signal ended: 130, 143 or 129. None means the last signal."""
    default = signal.SIGINT if error is not None else _State.number
    return 128 + getattr(error, "number", default)


def is_abandoned() -> bool:
    """Whether a coroutine was left as it was, so that a normal end of the program would wait for it."""
    return _State.abandoned is not None


@contextmanager
def raising() -> Iterator[None]:
    """Make signals raise Interrupted unless something else handles them. Only in the main thread."""

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        _hung_up(number)
        raise Interrupted(number)

    with _handlers():
        for one in _heard():
            if one is not signal.SIGINT:  # raises KeyboardInterrupt as it is
                signal.signal(one, interrupt)
        yield


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; a signal cancels it, so that its cleanup is awaited.

    A second signal does not wait for the cleanup. Interrupted either way.
    """
    import asyncio  # most commands do without

    runner = asyncio.Runner()
    received: list[int] = []

    def interrupt(cancel: Callable[[], object], number: int) -> None:
        received.append(number)
        _State.number = number
        _hung_up(number)
        if len(received) > 1:
            logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)  # tasks end half-way now
            _State.abandoned = runner
            raise Interrupted(number, at_once=True)
        cancel()

    async def cancellable() -> T:
        task = asyncio.create_task(coroutine)
        for one in _heard():
            asyncio.get_running_loop().add_signal_handler(one, interrupt, task.cancel, one)
        try:
            return await task
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise

    with _handlers():
        try:
            return runner.run(cancellable())
        finally:
            if _State.abandoned is not runner:
                runner.close()


@contextmanager
def _handlers() -> Iterator[None]:
    """Restore the handlers of the signals afterwards: asyncio leaves the system's defaults behind."""
    before = {one: signal.getsignal(one) for one in _heard()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _heard() -> tuple[signal.Signals, ...]:
    """The signals that were not ignored when the program started."""
    return tuple(one for one in ENDING if signal.getsignal(one) is not signal.SIG_IGN)


def _hung_up(number: int) -> None:
    """Redirect output to a terminal that is gone: a message that fails must not end the cleanup."""
    if number != signal.SIGHUP:
        return
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError as error:
            if error.errno == errno.EIO:
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
