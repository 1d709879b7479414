"""docs/lab.md lists every option, command, annotation and fault of the lab."""

from __future__ import annotations

import re
from pathlib import Path

import click

import netprobe
from netprobe.cli.lab import command, up
from netprobe.lab.fabric import faults
from netprobe.lab.fabric.network import SERVES
from netprobe.lab.kubelet import ADDRESS
from netprobe.lab.podstatus import READY

PAGE = (Path(netprobe.__file__).parent.parent / "docs" / "lab.md").read_text()


def test_every_option_of_lab_up() -> None:
    for parameter in up.params:
        if isinstance(parameter, click.Argument):  # the name, which has an option too
            continue
        assert any(re.search(rf"`{option}\b", PAGE) for option in parameter.opts), parameter.name


def test_every_command() -> None:
    for name in set(command.commands) - {"status"}:
        assert f"netprobe lab {name}" in PAGE, name
    shown = set(re.findall(r"^\$ netprobe lab ([a-z-]+)", PAGE, re.MULTILINE))
    assert shown <= command.commands.keys()


def test_every_annotation() -> None:
    fault_names = {faults.EXEC, faults.API, faults.RESTART, faults.LISTENER, faults.MISSED}
    fault_names |= {faults.AGENT, faults.PATH}
    assert set(re.findall(r"`(netprobe\.dev/[a-z-]+)", PAGE)) == {
        *fault_names,
        ADDRESS,
        SERVES,
        READY,
    }


def test_every_value_of_a_fault() -> None:
    assert faults.__doc__ is not None
    for value in re.findall(r"^    (\S+)(?:  (\S+))?  ", faults.__doc__, re.MULTILINE):
        for word in filter(None, value):
            assert f"`{word}`" in PAGE, word
