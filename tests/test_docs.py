"""What the pages name exists: commands with their options, files, and headings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.typed import check_options, command_lines, mentions, type_command

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
PAGES += (ROOT / "manifests").rglob("*.md")


def test_every_command_on_a_page_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tried, wrong = 0, []
    for page in PAGES:
        text = page.read_text()
        for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
            for words in command_lines(line):
                tried += 1
                try:
                    type_command(words, tmp_path)
                except click.UsageError as error:
                    wrong.append((page.name, shlex.join(words), error.message))
        for code in re.findall(r"`([^`\n]+)`", text):
            for words in mentions(code):
                tried += 1
                try:
                    check_options(words)
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
