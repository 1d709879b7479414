"""What the README shows is what the program does."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from netprobe.cli.command import Invocation
from netprobe.cli.invoke import netprobe
from netprobe.suite import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
WITHOUT_CLUSTER = "simulate|explain|lint|impact|generate"  # no output of graph is shown
OFFLINE = re.findall(rf"^\$ netprobe ((?:{WITHOUT_CLUSTER}) [^#\n]+)", README, re.MULTILINE)


def test_the_help_block_is_the_help(request: pytest.FixtureRequest) -> None:
    text_ = CliRunner().invoke(
        netprobe, ["--help"], prog_name="netprobe", obj=Invocation(), terminal_width=100
    )
    start = README.index("```text\n") + len("```text\n")
    shown = README[start : README.index("```", start)]
    if request.config.getoption("--update-golden"):
        (ROOT / "README.md").write_text(README[:start] + text_.output + README[start + len(shown) :])
    else:
        assert shown == text_.output, "pytest tests/test_readme.py --update-golden writes it anew"


@pytest.mark.parametrize("line", OFFLINE)
def test_a_command_that_needs_no_cluster_runs_as_it_is_shown(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(netprobe, shlex.split(line), obj=Invocation(), standalone_mode=False)
    assert done.exception is None
    assert done.return_value == ("production-mistake" in line and line.startswith("simulate"))
    for shown in re.findall(rf"^\$ netprobe {re.escape(line)}.*\n((?:[^$`].*\n)*)", README, re.MULTILINE):
        assert [text for text in shown.splitlines() if text != "…" and text not in done.output] == []


def test_the_suite_that_is_shown_loads(tmp_path: Path) -> None:
    text = re.search(r"```yaml\n(apiVersion: netprobe.*?)```", README, re.DOTALL)
    assert text is not None
    shutil.copytree(ROOT / "manifests" / "two-tier" / "policies", tmp_path / "policies")
    (tmp_path / "suite.yaml").write_text(text.group(1))
    assert load(tmp_path / "suite.yaml").name == "shop"
