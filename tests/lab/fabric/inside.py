"""Runs one coroutine in the namespaces of a lab: `python -m tests.lab.fabric.inside MODULE FUNCTION OPTIONS`.

A test that needs the kernel is written as a coroutine that takes a LabNetwork. `in_a_lab` makes of it
what pytest runs: a process that goes into a lab's namespaces, awaits it there, and says how it went.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from netprobe.errors import LabError
from netprobe.lab.fabric import world
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.options import LabOptions

Inside = Callable[[LabNetwork], Awaitable[None]]
_IMPOSSIBLE = 77  # what test runners have long called "skipped"
_DEADLINE_S = 120


def in_a_lab(**options: Any) -> Callable[[Inside], Callable[[], None]]:
    """Decorate `async def test_...(network)`: it runs in a lab of its own with these options."""

    def decorate(function: Inside) -> Callable[[], None]:
        @pytest.mark.lab
        @functools.wraps(function)
        def run() -> None:
            run_inside(function.__module__, function.__name__, LabOptions(**options))

        del run.__wrapped__  # or pytest asks for a fixture `network`
        run.__dict__.update(inside=function, options=LabOptions(**options))
        return run

    return decorate


def run_inside(module: str, function: str, options: LabOptions, prefix: Sequence[str] = ()) -> str:
    """Run a coroutine in a lab; what it reports. Fails or skips as it does. `prefix` starts the command."""
    command = [*prefix, sys.executable, "-m", __name__, module, function, options.to_json()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    if ended.returncode == _IMPOSSIBLE:
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def report(value: Any) -> None:
    """Hand a value back from inside, as JSON."""
    json.dump(value, sys.stdout)


def main(module: str, function: str, options: str) -> int:
    chosen = LabOptions.from_json(options)
    named = getattr(importlib.import_module(module), function)
    inside: Inside = getattr(named, "inside", named)

    async def work(spawner: Spawner) -> None:
        network = await LabNetwork.open(spawner, chosen)
        try:
            await inside(network)
        finally:
            await network.close()

    def daemon(spawner: Spawner) -> int:
        try:
            asyncio.run(work(spawner))
        except BaseException:  # noqa: BLE001 (this process is the test: whatever it is, it failed)
            traceback.print_exc()
            return 1
        sys.stdout.flush()
        return 0

    try:
        world.require_tools()
        pid, proceed = world.enter(daemon, lambda text: print(text, file=sys.stderr))  # noqa: T201
    except LabError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return _IMPOSSIBLE
    proceed()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
