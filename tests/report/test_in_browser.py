"""The pages of reports and graphs in a browser: scripts run under their own policy, keys and clicks work."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.report import FORMATS, GRAPH_FORMATS
from netprobe.report.graph import Graph, GraphOptions
from netprobe.run.record import Report
from tests.browser import IN_BROWSER, Page
from tests.report import samples
from tests.report.graph.samples import build, cell, everybody
from tests.report.graph.samples import hostile as hostile_graph
from tests.scenarios import MANIFESTS

pytestmark = IN_BROWSER

BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
NO_OVERFLOW = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def report(folder: Path) -> Path:
    """The report of an example with three mistakes."""
    path = folder / "report.html"
    suite = str(MANIFESTS / "production-mistake" / "suite.yaml")
    assert main(["simulate", suite, "--report", f"html={path}"]) == 1
    return path


def write(path: Path, shown: Report | Graph) -> None:
    written = (
        GRAPH_FORMATS.render(shown, "html") if isinstance(shown, Graph) else FORMATS.render(shown, "html")
    )
    path.write_text("".join(written), encoding="utf-8")


def draw(folder: Path, example: str) -> Path:
    """The page of an example's graph."""
    path = folder / f"{example}.html"
    assert main(["graph", str(MANIFESTS / example / "suite.yaml"), "--output-file", str(path)]) == 0
    return path


async def text(page: Page, selector: str) -> str:
    return str(await page.ask(f"document.querySelector({selector!r}).innerText"))


async def count(page: Page, selector: str) -> int:
    return int(await page.ask(f"document.querySelectorAll({selector!r}).length"))


async def test_differences_come_first_and_a_cell_opens_its_policies(report: Path, page: Page) -> None:
    await page.go(report)
    assert await text(page, "[aria-selected=true]") == "Differences"
    assert await count(page, ".reason") == 3
    await page.click(".reason button.flow")
    assert "production/api-server → database/mysql" in await text(page, "#panel")
    highlighted = "document.querySelector('#panel .card:first-of-type .on').textContent.trim()"
    assert await page.ask(highlighted) == "- namespaceSelector:"
    await page.go(report, "#tab=matrix&cell=monitoring/grafana~production/postgres")
    assert "ingress: production/allow-postgres" in await text(page, "#panel")
    assert page.errors == []


async def test_the_matrix_by_keys_and_by_namespace(report: Path, page: Page) -> None:
    await page.go(report, "#tab=matrix")
    every = await count(page, "#grid td[data-cell]")
    await page.click("#collapse")
    assert await count(page, "#grid td[data-cell]") < every / 2
    assert await count(page, "#grid td.wrong") == 3
    await page.ask("document.querySelector('#grid td[tabindex=\"0\"]').focus()")
    await page.press("ArrowRight")
    await page.press("Enter")
    assert await page.ask("document.activeElement.cellIndex") == 2
    assert "production → frontend" in await text(page, "#panel h2")
    await page.click("input[value=declared]")
    assert await count(page, "#grid td.wrong") == 0
    assert "view=declared" in await page.ask("location.hash")
    await page.press("/")
    await page.write("grafana 9187")
    assert (await text(page, "#shown")).startswith("1 of 189 flows")
    assert page.errors == []


async def test_an_arrow_of_the_graph_shows_its_flows(report: Path, page: Page) -> None:
    await page.go(report, "#tab=graph")
    assert await page.ask("document.querySelector('#tools').hidden")
    await page.ask(
        "document.querySelector('.edge.unexpected').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert "production/api-server to database/mysql: 5432" in await text(page, "#panel h2")
    assert "5432: ALLOW not as expected" in await text(page, "#panel .card.wrong")
    assert page.errors == []


async def test_a_report_fits_every_window_in_light_and_dark(path: Path, page: Page) -> None:
    write(path, samples.sample())
    await page.go(path)
    for width, scheme in product((500, 1600), ("light", "dark")):
        await page.width(width)
        await page.scheme(scheme)
        assert (sum(await page.ask(BACKGROUND)) > 600) is (scheme == "light")
        for tab in ("differences", "matrix", "flows", "graph", "about"):
            await page.click(f"[data-tab={tab}]")
            assert await page.ask(NO_OVERFLOW), (width, tab)
    assert page.errors == []


async def test_many_pods_are_namespaces_at_first(path: Path, page: Page) -> None:
    write(path, samples.many(60))
    await page.go(path)
    assert await count(page, "#grid td[data-cell]") == 9
    await page.click("#grid tbody button.space")  # opens one of them into its 20 pods
    assert await count(page, "#grid td[data-cell]") == 22 * 22 - 20
    assert page.errors == []


async def test_hostile_names_stay_text(path: Path, page: Page) -> None:
    write(path, samples.hostile())
    await page.go(path, "#tab=flows")
    assert "<script>" in await text(page, "#list")
    assert page.errors == []
    write(path, hostile_graph())
    await page.go(path)
    assert "Click an arrow" in await text(page, "#panel"), "the script did not run"
    assert await count(page, "img, iframe, a[href], foreignObject") == 0
    handlers = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).map(a => a.name)"
    assert await page.ask(f"{handlers}.filter(name => name.startsWith('on'))") == []
    for node in range(await count(page, ".node")):
        await page.ask(f"document.querySelectorAll('.node')[{node}].focus()")
        await page.press("Enter")
    assert await count(page, "script") == 2
    assert page.errors == []


LINKS = {
    "#from=backend/worker&to=backend/api": [
        "8080: denied",
        "declared deny · policies deny",
        "egress: backend/allow-dns spec.podSelector",
        "isolate backend/worker, and no rule allows TCP 8080 to backend/api",
        "policies/api.yaml:",
        "To be allowed: add ",
    ],
    "#from=backend/api&to=database/redis": [
        "6379: allowed",
        "egress: backend/api spec.egress[1].to[0]",
        "ingress: database/redis spec.ingress[0].from[0]",
        "To be denied: remove ",
    ],
}


async def test_a_link_to_a_pair_shows_the_reasons(folder: Path, page: Page) -> None:
    drawn = draw(folder, "five-workloads")
    for fragment, texts in LINKS.items():
        await page.go(drawn, fragment)
        shown = await page.ask("document.getElementById('panel').textContent")
        assert [text for text in texts if text not in shown] == []
    assert page.errors == []


async def test_keys_and_clicks_on_a_graph(folder: Path, page: Page) -> None:
    await page.go(draw(folder, "platform-guardrails-mistake"))
    focused = "document.activeElement.dataset.node"
    await page.ask("document.querySelector('.node[tabindex=\"0\"]').focus()")
    first = await page.ask(focused)
    await page.press("ArrowRight")
    assert await page.ask(focused) not in {first, None}
    await page.press("Enter")
    assert "reaches" in await text(page, "#panel")
    assert await count(page, ".node.chosen") == 1
    await page.press("Escape")
    assert (await text(page, "#panel")).startswith("Why?")
    assert await count(page, ".node.chosen") == 0
    width = "Number(document.querySelector('#pane svg').getAttribute('width'))"
    before = await page.ask(width)
    await page.press("+")
    assert await page.ask(width) > before
    assert await count(page, ".edge.unexpected") == 3
    await page.click("#panel li button")  # the first difference
    shown = await text(page, "#panel")
    assert "declared allow · policies deny" in shown
    assert "To be allowed: " in shown
    await page.click(".node[data-node='0'] .box")
    assert await count(page, ".node.chosen") == 1
    for scheme in ("light", "dark"):
        await page.scheme(scheme)
        assert (sum(await page.ask(BACKGROUND)) > 600) is (scheme == "light")
    await page.width(500)
    await page.until("document.querySelector('#pane').clientWidth <= 500")
    assert await page.ask(NO_OVERFLOW)
    assert page.errors == []


async def test_ends_of_arrows_that_are_not_boxes(path: Path, page: Page) -> None:
    """Everyone and whole namespaces as ends of arrows do not stop the script."""
    cells = everybody([f"{namespace}/{number}" for namespace in "abcd" for number in "123"])
    write(path, build([*cells, cell("e/1", "f/1", 9)]))
    await page.go(path, "#from=a/2")
    shown = await text(page, "#panel")
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
    write(path, build(cells, GraphOptions(group=False, bundle=False)))
    await page.go(path)
    before = await page.ask(IN_SIGHT)
    assert before[0][1], "the only source, left of a column that is many times as high"
    nearest = min(range(len(before)), key=lambda node: before[node][0])
    await page.click("#in")
    after = await page.ask(IN_SIGHT)
    assert after[nearest][0] < 1.3 * before[nearest][0] + 5
