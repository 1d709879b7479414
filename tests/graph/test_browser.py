"""The page in a real browser: its script runs under its own policy, and names stay names."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.graph import Graph, build, draw
from tests.graph.samples import cell, everybody, hostile
from tests.graph.test_formats import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FIVE = Path(__file__).parents[2] / "manifests" / "five-workloads" / "suite.yaml"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --virtual-time-budget=4000 --dump-dom "
    "--host-resolver-rules=MAP\x20*\x20~NOTFOUND"
)


def shown(page: Path, tmp_path: Path, fragment: str = "") -> str:
    """The document after its script has run."""
    options = [*QUIET.split(" --")[0:1], *("--" + option for option in QUIET.split(" --")[1:])]
    done = subprocess.run(
        [str(CHROMIUM), *options, f"--user-data-dir={tmp_path / 'profile'}", f"file://{page}{fragment}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def written(graph: Graph, tmp_path: Path) -> Path:
    page = tmp_path / "page.html"
    page.write_text("".join(draw(graph, "html")), encoding="utf-8")
    return page


def panel(document: str) -> str:
    """The text beside the drawing."""
    inside = document.partition('<aside id="panel"')[2].partition(">")[2].partition("</aside>")[0]
    return html.unescape(re.sub(r"<[^>]*>", " ", inside))


def test_a_link_to_a_pair_tells_why(tmp_path: Path) -> None:
    page = tmp_path / "five.html"
    assert main(["graph", str(FIVE), "--output-file", str(page)]) == 0
    told = " ".join(panel(shown(page, tmp_path, "#from=backend/worker&to=backend/api")).split())
    assert "backend/worker → backend/api" in told
    assert "8080: denied declared deny · policies deny" in told
    assert "egress: backend/allow-dns spec.podSelector" in told
    assert "isolate backend/worker, and no rule allows TCP 8080 to backend/api" in told
    assert "ingress: backend/api spec.podSelector" in told
    assert "policies/api.yaml:" in told


def test_an_allowed_flow_names_the_rules_at_both_ends(tmp_path: Path) -> None:
    page = tmp_path / "five.html"
    assert main(["graph", str(FIVE), "--output-file", str(page)]) == 0
    told = " ".join(panel(shown(page, tmp_path, "#from=backend/api&to=database/redis")).split())
    assert "6379: allowed" in told
    assert "egress: backend/api spec.egress[1].to[0]" in told
    assert "ingress: database/redis spec.ingress[0].from[0]" in told


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    document = shown(written(hostile(), tmp_path), tmp_path)
    page = Page(document)
    assert "Choose an arrow" in panel(document), "the script did not run"
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_every_name_can_be_asked_about(tmp_path: Path) -> None:
    """A crowd and a namespace as ends of arrows do not stop the script."""
    cells = everybody([f"{namespace}/{number}" for namespace in "abcd" for number in "123"])
    page = written(build("t", [*cells, cell("e/1", "f/1", 9)]), tmp_path)
    told = panel(shown(page, tmp_path, "#from=a/2"))
    assert "reaches (11)" in told
    assert "is reached by (11)" in told
