"""Command lines that cannot be used: each has a message and status 2, and prints nothing else.

usage.txt has the command lines and their messages, as a terminal would show them.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.manifest_text import policy
from tests.run.crowd import SUITE, suite
from tests.scenarios import MANIFESTS
from tests.shop import SHOP

TRANSCRIPT = Path(__file__).with_name("usage.txt")
ROWS = "expect: {flows: [{from: shop/web, to: shop/cart, port: 80, verdict: allow}]}\n"
STEP = "steps: [{name: label it, do: [{label: {namespace: shop, set: {a: b}}}]}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files that the command lines name."""
    monkeypatch.chdir(tmp_path)
    for name in ("two-tier", "faults"):
        shutil.copytree(MANIFESTS / name, tmp_path / name)
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "policy.yaml").write_text(policy("{podSelector: {}}"))
    head = SUITE[: SUITE.index("expect:")]
    for name, text in (
        ("rows", f"{head}{ROWS}"),
        ("place", SUITE),
        ("step", f"{SUITE}{STEP}"),
        ("applies", f"{SUITE}policies: [policy.yaml]\n"),
    ):
        suite(tmp_path, text).rename(tmp_path / f"{name}.yaml")
    return tmp_path


def test_what_cannot_be_used(folder: Path, program: Program, request: pytest.FixtureRequest) -> None:
    shown = []
    for line in TRANSCRIPT.read_text().splitlines():
        if line.startswith("$ "):
            done = program(*shlex.split(line)[2:])
            assert (done.returncode, done.stdout) == (2, ""), line
            shown += [line, *done.stderr.splitlines()]
    if request.config.getoption("--update-golden"):
        TRANSCRIPT.write_text("\n".join([*shown, ""]))
    assert shown == TRANSCRIPT.read_text().splitlines()
