"""Commands made for a test, and command lines run in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import click
import pytest

from netprobe.cli import invoke, main

Command: TypeAlias = Callable[[Callable[[], Any]], None]
Program: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Registers a function as the command `trial`."""

    def register(function: Callable[[], Any]) -> None:
        module = ModuleType("netprobe.cli.trial")
        module.command = click.command("trial")(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "netprobe.cli.trial", module)
        monkeypatch.setitem(invoke.COMMANDS, "trial", "made for a test")

    return register


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """Runs a command line in this process, without the caller's CI variables."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        for name in os.environ:
            if name.startswith(("GITHUB_", "NETPROBE_", "NO_COLOR", "FORCE_COLOR")):
                monkeypatch.delenv(name)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        status = main(arguments, program="netprobe")
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, out, err)

    return run
