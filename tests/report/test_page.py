"""The page of a report in a browser: its script runs under its own policy, keys and clicks work."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.report import FORMATS
from netprobe.run.record import Report
from tests.browser import CHROMIUM, Page
from tests.report.samples import hostile, many, sample
from tests.scenarios import MANIFESTS

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="session"),
]

SUITE = str(MANIFESTS / "production-mistake" / "suite.yaml")
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
CELL = "#tab=matrix&cell=monitoring/grafana~production/postgres"


def write(report: Report, path: Path) -> None:
    path.write_text("".join(FORMATS.render(report, "html")), encoding="utf-8")


async def text(page: Page, selector: str) -> str:
    return str(await page.ask(f"document.querySelector({selector!r}).innerText"))


async def test_differences_come_first_and_a_cell_opens_its_policies(path: Path, page: Page) -> None:
    assert main(["simulate", SUITE, "--report", f"html={path}"]) == 1
    await page.go(path)
    assert await text(page, "[aria-selected=true]") == "Differences"
    assert await page.ask("document.querySelectorAll('.reason').length") == 3
    await page.click(".reason button.flow")
    shown = await text(page, "#panel")
    assert "production/api-server → database/mysql" in shown
    highlighted = (
        "[...document.querySelectorAll('#panel .card:first-of-type .on')].map(e => e.textContent.trim())"
    )
    assert await page.ask(f"{highlighted}[0]") == "- namespaceSelector:"
    await page.go(path, CELL)
    assert "ingress: production/allow-postgres" in await text(page, "#panel")
    assert page.errors == []


async def test_the_matrix_by_keys_and_by_namespace(path: Path, page: Page) -> None:
    assert main(["simulate", SUITE, "--report", f"html={path}"]) == 1
    await page.go(path, "#tab=matrix")
    cells = "document.querySelectorAll('#grid td[data-cell]').length"
    every = await page.ask(cells)
    await page.click("#collapse")
    assert await page.ask(cells) < every / 2
    assert await page.ask("document.querySelectorAll('#grid td.wrong').length") == 3
    await page.ask("document.querySelector('#grid td[tabindex=\"0\"]').focus()")
    await page.press("ArrowRight")
    await page.press("Enter")
    assert await page.ask("document.activeElement.cellIndex") == 2
    assert "production → frontend" in await text(page, "#panel h2")
    await page.click("input[value=declared]")
    assert await page.ask("document.querySelectorAll('#grid td.wrong').length") == 0
    assert "view=declared" in await page.ask("location.hash")
    await page.press("/")
    await page.write("grafana 9187")
    assert (await text(page, "#shown")).startswith("1 of 189 flows")
    assert page.errors == []


async def test_nothing_is_cut_off(path: Path, page: Page) -> None:
    write(sample(), path)
    await page.go(path)
    for width, scheme in product((500, 1000, 1600), ("light", "dark")):
        await page.width(width)
        await page.scheme(scheme)
        background = await page.ask(BACKGROUND)
        assert (sum(background) > 600) is (scheme == "light")
        for tab in ("differences", "matrix", "flows", "graph", "about"):
            await page.click(f"[data-tab={tab}]")
            assert await page.ask("document.documentElement.scrollWidth <= innerWidth"), (width, tab)
    assert page.errors == []


async def test_an_arrow_of_the_graph_shows_its_flows(path: Path, page: Page) -> None:
    assert main(["simulate", SUITE, "--report", f"html={path}"]) == 1
    await page.go(path, "#tab=graph")
    assert await page.ask("document.querySelector('#tools').hidden")
    await page.ask(
        "document.querySelector('.edge.unexpected').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert "production/api-server to database/mysql: 5432" in await text(page, "#panel h2")
    assert "5432: ALLOW not as expected" in await text(page, "#panel .card.wrong")
    assert page.errors == []


async def test_names_stay_text(path: Path, page: Page) -> None:
    write(hostile(), path)
    await page.go(path, "#tab=flows")
    assert "<script>" in await text(page, "#list")
    assert page.errors == []


async def test_a_hundred_pods_are_namespaces_at_first(path: Path, page: Page) -> None:
    write(many(100), path)
    await page.go(path)
    assert await page.ask("document.querySelectorAll('#grid td[data-cell]').length") == 9
    await page.click("#grid tbody button.space")  # opens one of them into its 34 pods
    assert await page.ask("document.querySelectorAll('#grid td[data-cell]').length") == 36 * 36 - 34
    assert page.errors == []
