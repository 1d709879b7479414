"""Runs coroutines in the namespaces of a lab: `python -m tests.lab.fabric.inside`.

A test that needs the kernel is written as a coroutine that takes a LabNetwork. `in_a_lab` makes of it what
pytest runs: a process in a lab's namespaces awaits it there with a new network, and reports the result. The
process is started once for all tests of a worker with the same address families, and again after a failure.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import importlib
import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from netprobe.errors import LabError
from netprobe.lab.fabric import spawner
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.options import LabOptions

Inside = Callable[[LabNetwork], Awaitable[None]]
_DEADLINE_S = 300


def in_a_lab(**options: Any) -> Callable[[Inside], Callable[[], None]]:
    """Decorate `async def test_...(network)`: it runs with a network of its own with these options."""

    def decorate(function: Inside) -> Callable[[], None]:
        @pytest.mark.lab
        @functools.wraps(function)
        def run() -> None:
            run_inside(function.__module__, function.__name__, LabOptions(**options))

        del run.__wrapped__  # or pytest asks for a fixture `network`
        run.__dict__.update(inside=function, options=LabOptions(**options))
        return run

    return decorate


class _Process:
    """A process inside. `prefix` starts the command, for example as another user."""

    def __init__(self, prefix: Sequence[str]) -> None:
        self._inner = subprocess.Popen(
            [*prefix, sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *question: str) -> dict[str, Any]:
        assert self._inner.stdin is not None
        assert self._inner.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._inner.stdin.write(json.dumps(question) + "\n")
            self._inner.stdin.flush()
        if not select.select([self._inner.stdout], [], [], _DEADLINE_S)[0]:
            return {"failure": f"no result within {_DEADLINE_S} seconds"}
        line = self._inner.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failure": self.end()}
        return answer

    def end(self) -> str:
        """End it; what it wrote to standard error."""
        self._inner.kill()
        return self._inner.communicate()[1]


_processes: dict[tuple[str, ...], _Process] = {}


def _end_all() -> None:
    while _processes:
        _processes.popitem()[1].end()


atexit.register(_end_all)


def run_inside(module: str, function: str, options: LabOptions, prefix: Sequence[str] = ()) -> None:
    """Run a coroutine with a new network. Fails or skips as it does."""
    key = (*prefix, *options.ip_families)  # without IPv6 it is off in the namespace
    if key not in _processes:
        _processes[key] = _Process(prefix)
    answer = _processes[key].ask(module, function, options.to_json())
    if "failure" in answer:
        _processes.pop(key).end()
        pytest.fail(answer["failure"], pytrace=False)
    if "impossible" in answer:
        pytest.skip(answer["impossible"])


def _serve(spawner: Spawner) -> int:
    """Answer questions until standard input ends."""
    for line in sys.stdin:
        print(json.dumps(_answer(spawner, *json.loads(line))), flush=True)  # noqa: T201
    return 0


def _answer(spawner: Spawner, module: str, function: str, options: str) -> dict[str, Any]:
    named = getattr(importlib.import_module(module), function)
    inside: Inside = getattr(named, "inside", named)

    async def work() -> None:
        network = await LabNetwork.open(spawner, LabOptions.from_json(options))
        try:
            await inside(network)
        finally:
            await network.close()

    try:
        asyncio.run(work())
    except pytest.skip.Exception as skipped:
        return {"impossible": str(skipped)}
    except BaseException:  # noqa: BLE001 (this process is the test: whatever it is, it failed)
        return {"failure": traceback.format_exc()}
    return {}


def main() -> int:
    try:
        spawner.require_tools()
        pid, proceed = spawner.enter(_serve, lambda text: print(text, file=sys.stderr))  # noqa: T201
    except LabError as error:
        print(json.dumps({"impossible": str(error)}), flush=True)  # noqa: T201
        return 1
    proceed()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
