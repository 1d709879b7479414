"""The page in a browser: its script runs under its own policy, keys and clicks work, names stay text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.report.graph import GRAPH_FORMATS, Graph, GraphOptions
from tests.browser import CHROMIUM, Page
from tests.report.graph.samples import build, cell, everybody, hostile
from tests.scenarios import MANIFESTS

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="session"),
]

SELECTED = "document.querySelectorAll('.node.chosen').length"
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"


def write(graph: Graph, path: Path) -> None:
    path.write_text("".join(GRAPH_FORMATS.render(graph, "html")), encoding="utf-8")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of an example, which is written once."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def draw(example: str) -> Path:
        path = folder / f"{example}.html"
        assert main(["graph", str(MANIFESTS / example / "suite.yaml"), "--output-file", str(path)]) == 0
        return path

    return draw


async def panel(page: Page) -> str:
    """The text next to the drawing."""
    return str(await page.ask("document.getElementById('panel').textContent"))


LINKS = {
    ("five-workloads", "#from=backend/worker&to=backend/api"): [
        "backend/worker → backend/api",
        "8080: denied",
        "declared deny · policies deny",
        "egress: backend/allow-dns spec.podSelector",
        "isolate backend/worker, and no rule allows TCP 8080 to backend/api",
        "policies/api.yaml:",
        "To be allowed: add ",
    ],
    ("five-workloads", "#from=backend/api&to=database/redis"): [
        "6379: allowed",
        "egress: backend/api spec.egress[1].to[0]",
        "ingress: database/redis spec.ingress[0].from[0]",
        "To be denied: remove ",
    ],
    ("platform-guardrails-mistake", "#from=blog/web&to=shop/web"): [
        "8080: denied",
        "ingress: closed-by-default spec.ingress[0].from[0]",
        "denies it",
    ],
}


async def test_a_link_to_a_pair_shows_the_reasons(drawn: Callable[[str], Path], page: Page) -> None:
    for (example, fragment), texts in LINKS.items():
        await page.go(drawn(example), fragment)
        shown = await panel(page)
        assert [text for text in texts if text not in shown] == []
        assert page.errors == []


async def test_keys_and_clicks(drawn: Callable[[str], Path], page: Page) -> None:
    await page.go(drawn("production-mistake"))
    focused = "document.activeElement.dataset.node"
    await page.ask("document.querySelector('.node[tabindex=\"0\"]').focus()")
    first = await page.ask(focused)
    await page.press("ArrowRight")
    assert await page.ask(focused) not in {first, None}
    await page.press("Enter")
    assert "reaches" in await panel(page)
    assert await page.ask(SELECTED) == 1
    await page.press("Escape")
    assert (await panel(page)).startswith("Why?")
    assert await page.ask(SELECTED) == 0
    width = "Number(document.querySelector('#pane svg').getAttribute('width'))"
    before = await page.ask(width)
    await page.press("+")
    assert await page.ask(width) > before
    assert await page.ask("document.querySelectorAll('.edge.unexpected').length") == 3
    await page.click("#panel li button")  # the first difference
    shown = await panel(page)
    assert "declared deny · policies allow" in shown
    assert "To be denied: " in shown
    await page.click(".node[data-node='0'] .box")
    assert await page.ask(SELECTED) == 1
    assert page.errors == []


async def test_light_dark_and_narrow(drawn: Callable[[str], Path], page: Page) -> None:
    await page.go(drawn("production-mistake"))
    await page.scheme("light")
    assert sum(await page.ask(BACKGROUND)) > 600
    await page.scheme("dark")
    assert sum(await page.ask(BACKGROUND)) < 150
    for example in ("production-mistake", "two-tier"):
        await page.go(drawn(example))
        await page.width(500)
        await page.until("document.querySelector('#pane').clientWidth <= 500")
        assert await page.ask("document.documentElement.scrollWidth <= innerWidth")
        shown = "document.querySelector('#pane svg').getBoundingClientRect().width"
        await page.until(
            f"{shown} <= Math.max(500, document.querySelector('#pane svg').viewBox.baseVal.width * 0.41)"
        )


async def test_hostile_names_stay_text(path: Path, page: Page) -> None:
    write(hostile(), path)
    await page.go(path)
    assert "Click an arrow" in await panel(page), "the script did not run"
    assert await page.ask("document.querySelectorAll('img, iframe, a[href], foreignObject').length") == 0
    handlers = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).map(a => a.name)"
    assert await page.ask(f"{handlers}.filter(name => name.startsWith('on'))") == []
    for node in range(await page.ask("document.querySelectorAll('.node').length")):
        await page.ask(f"document.querySelectorAll('.node')[{node}].focus()")
        await page.press("Enter")
    assert await page.ask("document.scripts.length") == 2
    assert page.errors == []


async def test_ends_of_arrows_that_are_not_boxes(path: Path, page: Page) -> None:
    """Everyone and whole namespaces as ends of arrows do not stop the script."""
    cells = everybody([f"{namespace}/{number}" for namespace in "abcd" for number in "123"])
    write(build([*cells, cell("e/1", "f/1", 9)]), path)
    await page.go(path, "#from=a/2")
    shown = await panel(page)
    assert "reaches (11)" in shown
    assert "is reached by (11)" in shown
    assert page.errors == []


IN_SIGHT = """(() => {
  const pane = document.getElementById('pane').getBoundingClientRect();
  const middle = [pane.x + pane.width / 2, pane.y + pane.height / 2];
  return [...document.querySelectorAll('.node')].map((node) => {
    const box = node.getBoundingClientRect();
    const away = [box.x + box.width / 2 - middle[0], box.y + box.height / 2 - middle[1]];
    const seen = Math.abs(away[0]) < pane.width / 2 && Math.abs(away[1]) < pane.height / 2;
    return [Math.hypot(...away), seen];
  });
})()"""


async def test_a_large_drawing_starts_at_its_sources(path: Path, page: Page) -> None:
    cells = [cell("caller/only", f"called/web{number}", 80) for number in range(70)]
    write(build(cells, GraphOptions(group=False, bundle=False)), path)
    await page.go(path)
    before = await page.ask(IN_SIGHT)
    assert before[0][1], "the only source, left of a column that is many times as high"
    nearest = min(range(len(before)), key=lambda node: before[node][0])
    await page.click("#in")
    after = await page.ask(IN_SIGHT)
    assert after[nearest][0] < 1.3 * before[nearest][0] + 5
