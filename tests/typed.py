"""Command lines in texts: `netprobe …` in console blocks, in examples of help, in messages and in prose."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from netprobe.cli.command import Invocation
from netprobe.cli.invoke import COMMANDS, netprobe


def command_lines(text: str) -> Iterator[list[str]]:
    """The arguments of each `netprobe` in a line of a shell, without comments, pipes and redirections."""
    for part in re.split(r" \| | && | 2?> |\$\(|<\(|\)", text):
        words = shlex.split(part, comments=True)
        if words[:1] == ["netprobe"]:
            yield words[1:]


def mentions(text: str) -> Iterator[list[str]]:
    """The command lines that a sentence mentions: a command, its subcommand, options and PLACEHOLDERS."""
    for line in re.findall(r"netprobe((?: [^`;,:()]+)?)", text):
        words = line.split()
        if not words or words[0] not in COMMANDS:
            continue
        command, found = resolve(words)
        if isinstance(command, click.Group):
            continue
        names = words[: len(words) - len(found)]
        options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
        while found and (found[0].startswith("-") or re.fullmatch(r"[A-Z_.=\[\]/]+", found[0])):
            names.append(found.pop(0))
            option = options.get(names[-1])
            if isinstance(option, click.Option) and not option.is_flag:
                names.append(found.pop(0) if found else "X")
        yield names


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, and the words after its name. UsageError if there is none."""
    command: click.Command | None = netprobe
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(command, obj=Invocation())
        command, words = command.resolve_command(context, words)[1], words[1:]
    assert command is not None
    return command, words


def check_options(words: list[str]) -> None:
    """UsageError for a command or an option that does not exist; values are not checked."""
    command, rest = resolve(words)
    command.make_parser(click.Context(command)).parse_args(rest)


def type_command(words: list[str], folder: Path) -> None:
    """UsageError for a command line that click refuses. Its files are made in `folder`, the working one."""
    for word in words:
        path = folder / word.rpartition("=")[2]
        if path.is_relative_to(folder) and ("/" in word or word.endswith(".tar")):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.touch()
    command, rest = resolve(words)
    if command is not netprobe and not isinstance(command, click.Group):
        command.make_context(command.name, list(rest), obj=Invocation())
