"""docs/cluster.md: every command that it shows can be called that way, every file that it names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from netprobe.cli.app import Invocation, netprobe

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
TEXT = PAGE.read_text()
COMMANDS = re.findall(r"^\$ netprobe (.*?)(?:\s+#.*)?$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_is_shown_is_understood(line: str) -> None:
    name, *arguments = shlex.split(line)
    context = click.Context(netprobe, obj=Invocation())
    command = netprobe.get_command(context, name)
    assert command is not None
    command.make_context(name, arguments, parent=context)


def test_commands_are_found() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"doctor", "run", "clean"}


def test_files_that_are_named_exist() -> None:
    linked = re.findall(r"\]\(([^)#]+)\)", TEXT)
    shown = re.findall(r"manifests/[\w./-]+\.yaml", " ".join(re.findall(r"^\$ .*", TEXT, re.MULTILINE)))
    assert linked
    assert shown
    assert [link for link in linked if not (PAGE.parent / link).exists()] == []
    assert [path for path in shown if not (PAGE.parents[1] / path).exists()] == []


def test_what_pods_ask_for_is_what_they_ask_for() -> None:
    from netprobe.model.flow import PodRef
    from netprobe.probe import PodOptions, bench

    options = PodOptions()
    asked = bench.pod(PodRef("x", "y"), "r", options)["spec"]["containers"][0]["resources"]
    assert asked == {
        "requests": {"cpu": "10m", "memory": "8Mi"},
        "limits": {"cpu": "1", "memory": "128Mi"},
    }
    assert f"`{options.image}`" in TEXT
    assert options.lifetime_s == 3600
