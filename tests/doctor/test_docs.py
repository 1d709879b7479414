"""Pages about clusters: every command that they show can be called that way, every file named exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from netprobe.cli.app import Invocation, netprobe

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
KIND = PAGE.with_name("kind.md")
TEXT = PAGE.read_text()
SHOWN = re.compile(r"^\$ netprobe ([^|\n]*?)(?:\s+#.*|\s+\|.*)?$", re.MULTILINE)
COMMANDS = SHOWN.findall(TEXT)


@pytest.mark.parametrize("line", [*COMMANDS, *SHOWN.findall(KIND.read_text())])
def test_a_command_that_is_shown_is_understood(line: str, tmp_path: Path) -> None:
    name, *arguments = shlex.split(line)
    context = click.Context(netprobe, obj=Invocation())
    command = netprobe.get_command(context, name)
    if isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.get_command(context, name)
    assert command is not None
    arguments = [_there(word, tmp_path) for word in arguments]
    command.make_context(name, arguments, parent=context)


def _there(word: str, folder: Path) -> str:
    """An archive that is named has to exist: one in its place."""
    if not word.endswith(".tar"):
        return word
    (folder / word).touch()
    return str(folder / word)


def test_commands_are_found() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"doctor", "run", "clean"}


def test_files_that_are_named_exist() -> None:
    linked = re.findall(r"\]\(([^)#]+)\)", TEXT)
    shown = re.findall(r"manifests/[\w./-]+\.yaml", " ".join(re.findall(r"^\$ .*", TEXT, re.MULTILINE)))
    assert linked
    assert shown
    assert [link for link in linked if not (PAGE.parent / link).exists()] == []
    assert [path for path in shown if not (PAGE.parents[1] / path).exists()] == []


def test_the_images_to_bring_are_those_that_are_pinned() -> None:
    from netprobe.kind import CALICO

    text = KIND.read_text()
    assert f"installing Calico {CALICO.version}" in text
    assert "\n".join(CALICO.images) in text
    assert CALICO.url in text


def test_pods_have_the_requested_resources() -> None:
    from netprobe.model.flow import PodRef
    from netprobe.probe import PodOptions, run_objects

    options = PodOptions()
    asked = run_objects.pod(PodRef("x", "y"), "r", options)["spec"]["containers"][0]["resources"]
    assert asked == {
        "requests": {"cpu": "10m", "memory": "16Mi"},
        "limits": {"cpu": "500m", "memory": "128Mi"},
    }
    assert f"`{options.image}`" in TEXT
    assert options.lifetime_s == 3600
