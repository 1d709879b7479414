"""What the pages name exists: commands with their options, files, and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from netprobe.cli.app import Invocation, netprobe

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
PAGES += (ROOT / "manifests").rglob("*.md")

HELP = netprobe.context_settings["help_option_names"]
"""click keeps the help option that it made for the first context of a command."""


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each `netprobe` in console blocks, without comments, pipes and redirections."""
    for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
        for part in re.split(r" \| | && | > |\$\(|\)", line):
            words = shlex.split(part, comments=True)
            if words[:1] == ["netprobe"]:
                yield words[1:]


def parse(words: list[str]) -> None:
    """Click's exceptions for a command or an option that does not exist; values are not checked."""
    command: click.Command | None = netprobe
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(command, obj=Invocation(), help_option_names=HELP)
        command, words = command.resolve_command(context, words)[1], words[1:]
    assert command is not None
    command.make_parser(click.Context(command, help_option_names=HELP)).parse_args(list(words))


def test_every_command_on_a_page_has_these_options() -> None:
    tried, wrong = 0, []
    for page in PAGES:
        for words in commands(page.read_text()):
            tried += 1
            try:
                parse(words)
            except click.UsageError as error:
                wrong.append((page.name, shlex.join(words), error.message))
    assert wrong == []
    assert tried > 50


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    named = {
        name
        for page in (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md")
        for name in re.findall(r"`((?:netprobe|tests|docs|manifests)/[\w./-]+)", page.read_text())
    }
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    wrong = []
    for page in PAGES:
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            file = page.parent / target if target else page
            if not file.exists() or (heading and file.suffix == ".md" and heading not in _headings(file)):
                wrong.append(f"{page.name}: {target}#{heading}")
    assert wrong == []


def _headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
