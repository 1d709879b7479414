"""The page in a real browser: its script runs under its own policy, keys and clicks work, names stay text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from netprobe.cli import main
from netprobe.report.graph import GRAPH_FORMATS, Graph, GraphOptions, build
from tests.report.graph.browser import CHROMIUM, Tab, browser
from tests.report.graph.samples import cell, everybody, hostile
from tests.scenarios import MANIFESTS

FIVE = MANIFESTS / "five-workloads" / "suite.yaml"
MISTAKE = MANIFESTS / "production-mistake" / "suite.yaml"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest_asyncio.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    async with browser(tmp_path) as one:
        yield one
        assert one.failures == []


def written(graph: Graph, tmp_path: Path) -> str:
    page = tmp_path / "page.html"
    page.write_text("".join(GRAPH_FORMATS.render(graph, "html")), encoding="utf-8")
    return page.as_uri()


def drawn(suite: Path, tmp_path: Path) -> str:
    page = tmp_path / f"{suite.parent.name}.html"
    assert main(["graph", str(suite), "--output-file", str(page)]) == 0
    return page.as_uri()


async def panel(tab: Tab) -> str:
    """The text beside the drawing."""
    text: str = await tab.says("document.getElementById('panel').textContent")
    return text


async def test_a_link_to_a_pair_tells_why_and_what_would_change_it(tab: Tab, tmp_path: Path) -> None:
    page = drawn(FIVE, tmp_path)
    await tab.go(f"{page}#from=backend/worker&to=backend/api")
    told = await panel(tab)
    assert "backend/worker → backend/api" in told
    assert "8080: denied" in told
    assert "declared deny · policies deny" in told
    assert "egress: backend/allow-dns spec.podSelector" in told
    assert "isolate backend/worker, and no rule allows TCP 8080 to backend/api" in told
    assert "policies/api.yaml:" in told
    assert "To be allowed: add " in told
    await tab.go("about:blank")
    await tab.go(f"{page}#from=backend/api&to=database/redis")
    told = await panel(tab)
    assert "6379: allowed" in told
    assert "egress: backend/api spec.egress[1].to[0]" in told
    assert "ingress: database/redis spec.ingress[0].from[0]" in told
    assert "To be denied: remove " in told


async def test_keys_move_choose_and_clear(tab: Tab, tmp_path: Path) -> None:
    await tab.go(drawn(FIVE, tmp_path))
    focused = "document.activeElement.dataset.node"
    await tab.says("document.querySelector('.node[tabindex=\"0\"]').focus()")
    first = await tab.says(focused)
    await tab.press("ArrowRight")
    second = await tab.says(focused)
    assert second not in {first, None}
    await tab.press("Enter")
    name = await tab.says("document.querySelector('#panel h2').textContent")
    assert "reaches" in await panel(tab)
    assert await tab.says("document.querySelectorAll('.node.chosen').length") == 1
    assert name == await tab.says(
        f"JSON.parse(document.getElementById('data').textContent).nodes[{second}].name"
    )
    await tab.press("Escape")
    assert (await panel(tab)).startswith("Why?")
    assert await tab.says("document.querySelectorAll('.node.chosen').length") == 0
    width = "Number(document.querySelector('#pane svg').getAttribute('width'))"
    before = await tab.says(width)
    await tab.press("+")
    assert await tab.says(width) > before


async def test_a_click_on_an_arrow_tells_why_in_the_dark_too(tab: Tab, tmp_path: Path) -> None:
    await tab.go(drawn(MISTAKE, tmp_path))
    light = await tab.says("getComputedStyle(document.body).backgroundColor")
    await tab.dark(on=True)
    dark = await tab.says("getComputedStyle(document.body).backgroundColor")
    assert sum(channels(dark)) < 150
    assert sum(channels(light)) > 600
    assert await tab.says("document.querySelectorAll('.edge.unexpected').length") == 3
    await tab.click("#panel li button")  # the first of what is not as expected
    told = await panel(tab)
    assert "declared deny · policies allow" in told
    assert "To be denied: " in told
    await tab.click(".node[data-node='0'] .box")
    assert await tab.says("document.querySelectorAll('.node.chosen').length") == 1


def channels(colour: str) -> list[int]:
    return [int(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]


async def test_hostile_names_stay_text(tab: Tab, tmp_path: Path) -> None:
    await tab.go(written(hostile(), tmp_path))
    assert "Click an arrow" in await panel(tab), "the script did not run"
    assert await tab.says("document.scripts.length") == 2
    assert await tab.says("document.querySelectorAll('img, iframe, a[href], foreignObject').length") == 0
    handlers = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).map(a => a.name)"
    assert await tab.says(f"{handlers}.filter(name => name.startsWith('on'))") == []
    for node in range(await tab.says("document.querySelectorAll('.node').length")):
        await tab.says(f"document.querySelectorAll('.node')[{node}].focus()")
        await tab.press("Enter")
    assert await tab.says("document.scripts.length") == 2


async def test_every_name_can_be_asked_about(tab: Tab, tmp_path: Path) -> None:
    """A crowd and a namespace as ends of arrows do not stop the script."""
    cells = everybody([f"{namespace}/{number}" for namespace in "abcd" for number in "123"])
    page = written(build("t", [*cells, cell("e/1", "f/1", 9)]), tmp_path)
    await tab.go(f"{page}#from=a/2")
    told = await panel(tab)
    assert "reaches (11)" in told
    assert "is reached by (11)" in told


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


async def test_a_large_drawing_begins_where_something_is_and_zooms_into_what_is_in_sight(
    tab: Tab, tmp_path: Path
) -> None:
    cells = [cell("caller/only", f"called/web{number}", 80) for number in range(70)]
    await tab.go(written(build("t", cells, GraphOptions(group=False, bundle=False)), tmp_path))
    before = await tab.says(IN_SIGHT)
    assert before[0][1], "the one that calls, left of a column that is many times as high"
    nearest = min(range(len(before)), key=lambda node: before[node][0])
    await tab.click("#in")
    after = await tab.says(IN_SIGHT)
    assert after[nearest][0] < 1.3 * before[nearest][0] + 5
