"""Whatever a message, a docstring or a help text tells the user to type exists."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import netprobe
from netprobe.cli.command import RENAMED, Command, Invocation
from netprobe.cli.invoke import COMMANDS
from netprobe.cli.invoke import netprobe as program
from tests.typed import check_options, command_lines, mentions, type_command

ROOT = Path(netprobe.__file__).parent


MENTIONED = re.compile(rf"""netprobe[\s"'f]+(?:{"|".join(COMMANDS)})\b""")


def texts(path: Path) -> Iterator[str]:
    """The strings of a module that mentions a command; a value in braces is X."""
    parts: set[int] = set()  # of strings with braces, which follow them
    text = path.read_text()
    for node in ast.walk(ast.parse(text)) if MENTIONED.search(text) else ():
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def every_command(group: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(group, click.Group):
        yield " ".join(path), group
        return
    context = click.Context(group, obj=Invocation())
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from every_command(found, *path, name)


def test_every_command_in_a_message_exists() -> None:
    tried, wrong = 0, []
    for path in ROOT.rglob("*.py"):
        for text in texts(path):
            for words in mentions(text):
                tried += 1
                try:
                    check_options(words)
                except click.UsageError as error:
                    wrong.append((path.name, shlex.join(words), error.message))
    assert wrong == []
    assert tried > 20


def test_every_example_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, command in every_command(program):
        lines = (command.help or "").partition("Examples:\n")[2].splitlines()
        for line in lines:
            for words in command_lines(line):
                type_command(words, tmp_path)
        assert lines or name.count(" "), f"{name} has no examples"


def test_options_are_spelled_alike() -> None:
    for name, command in every_command(program):
        assert isinstance(command, Command), f"{name}: @click.command(cls=Command)"
        by_option = {option: param for param in command.params for option in param.opts}
        if output := by_option.get("-o"):
            assert isinstance(output.type, click.Choice), name
            assert by_option["--output"] is output, name
            assert "--output-file" in by_option, name
        assert not {"--family", "--ip", "--out", "--file", "--lab-name"} & set(by_option), name
        assert {"--kubeconfig", "--request-timeout", "--lab"} <= set(
            by_option
        ) or "--context" not in by_option


@pytest.mark.parametrize("place", [("--color", "never", "version"), ("version", "--color", "never")])
def test_common_options_may_come_first_or_last(place: tuple[str, ...], program: object) -> None:
    assert program(*place).returncode == 0  # type: ignore[operator]


def test_an_old_spelling_names_the_new_one(program: object) -> None:
    for (name, old), new in RENAMED.items():
        arguments = {"lab": ("lab", "up")}.get(name, (name, "a", "b"))
        done = program(*arguments, old, "x")  # type: ignore[operator]
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{old} is now {new}" in done.stderr
    assert set(COMMANDS) >= {name for name, _ in RENAMED}
