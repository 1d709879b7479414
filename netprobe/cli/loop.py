"""Coroutines in a command: interrupted, they are cancelled and their cleanup is awaited."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; Ctrl-C or SIGTERM cancels it, so that its cleanup is awaited.

    A second signal does not wait for the cleanup. KeyboardInterrupt either way.
    """
    signals = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's background job stays deaf to Ctrl-C
        signals.append(signal.SIGINT)
    handlers = {one: signal.getsignal(one) for one in signals}

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        interrupted = False

        def interrupt() -> None:
            nonlocal interrupted
            if interrupted:
                # Tasks are destroyed half-way now, which asyncio would tell with tracebacks.
                logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
                raise KeyboardInterrupt
            interrupted = True
            if task is not None:
                task.cancel()

        for one in signals:
            loop.add_signal_handler(one, interrupt)
        try:
            return await coroutine
        except asyncio.CancelledError:
            if interrupted:
                raise KeyboardInterrupt from None
            raise

    try:
        return asyncio.run(cancellable())
    finally:
        for one, handler in handlers.items():  # asyncio leaves the system's defaults behind
            signal.signal(one, handler)
