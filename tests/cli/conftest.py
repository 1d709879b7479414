"""Commands made for a test, and the real program as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import click
import pytest

from netprobe.cli import app

Command: TypeAlias = Callable[[Callable[[], Any]], None]
Program: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Registers a function as the command `trial`."""

    def register(function: Callable[[], Any]) -> None:
        module = ModuleType("netprobe.cli.trial")
        module.command = click.command("trial")(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "netprobe.cli.trial", module)
        monkeypatch.setitem(app.COMMANDS, "trial", "made for a test")

    return register


@pytest.fixture
def program() -> Program:
    """Runs `python -m netprobe ARGUMENTS`, without the caller's terminal and CI variables."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "NETPROBE_", "NO_COLOR"))
        }
        return subprocess.run(
            [sys.executable, "-m", "netprobe", *arguments],
            env=clean | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
