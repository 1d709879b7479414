"""The HTML page: what it says without a script, and with one, in a real browser."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest

from netprobe.conformance.baseline import ConformanceReport, PastCase, PastRun, RunChanges
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseStatus, Triage
from netprobe.model.verdict import Verdict
from netprobe.report import CONFORMANCE_FORMATS
from netprobe.report.conformance_page import MOST_OPEN
from tests.browser import CHROMIUM, browser
from tests.conformance.samples import (
    CASE,
    FAILED,
    PASSED,
    SKIPPED,
    START,
    WRONG,
    report,
    result,
)

HOSTILE = '</script><img src=x onerror="document.title=1">\u202e'
OTHER = next(case for case in builtin() if case.name == "a named UDP port")
LONG = next(case for case in builtin() if case.name == "labels as long as the API allows, of namespaces")
NIGHTS = tuple(
    PastRun(
        START - dt.timedelta(days=days),
        "cluster kind-x",
        90.0,
        {CASE.name: PastCase(status, 0.1), "a case that is gone": PastCase(CaseStatus.PASSED, None)},
    )
    for days, status in ((2, CaseStatus.FAILED), (1, CaseStatus.PASSED))
)


def written(found: ConformanceReport) -> str:
    return "".join(CONFORMANCE_FORMATS.render(found, "html"))


def text(page: str) -> str:
    body = page.partition("<body>")[2].partition('<script type="application/json"')[0]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_without_a_script_it_says_what_failed_and_why() -> None:
    output = text(written(report(FAILED, PASSED)))
    assert "2 cases: 1 passed, 1 failed" in output
    assert "y/a -&gt; x/a 80: declared DENY, simulated DENY, observed ALLOW" in output
    assert "no rule allows TCP 80 from y/a" in output


def test_features_are_a_table_with_the_runs_before_as_columns() -> None:
    page = written(replace(report(FAILED, result(OTHER)), past=NIGHTS))
    (row,) = re.findall(r'<tr><th scope="row"><a [^>]*>Pod selectors</a></th>(.*?)</tr>', page, re.DOTALL)
    assert re.findall(r'class="(?:past|now) (\w+)"', row) == ["no", "yes", "no"]
    assert "every case failed" in row  # not by colour alone


def test_history_is_a_drawing_and_a_table() -> None:
    page = written(replace(report(PASSED), past=NIGHTS, changes=RunChanges(fixed=("a",))))
    rows = re.findall(r'<th scope="row">(2026-[^<]*)</th>', page)
    assert rows == ["2026-11-23 06:00", "2026-11-22 06:00", "2026-11-21 06:00"]
    assert "1 fixed a" in text(page)
    assert 'class="failed"' in page.partition('id="history"')[2]
    assert "--history DIR" in text(written(report(PASSED)))


def test_a_failure_that_is_expected_is_not_opened() -> None:
    known = replace(FAILED, standing=Triage.EXPECTED, remark="a bug (until 2027-03-01)")
    assert " open>" in written(report(FAILED))
    assert " open>" not in written(report(known))


def test_if_everything_fails_a_few_cases_are_opened_and_those_come_first() -> None:
    page = written(report(PASSED, *[FAILED] * 30))
    assert page.count(" open>") == MOST_OPEN
    assert re.findall(r'id="case-(\d+)"', page) == [*map(str, range(1, 31)), "0"]
    assert "30 not as expected" in text(page)


def test_it_asks_no_server_for_anything_and_names_stay_names() -> None:
    case = replace(CASE, name=HOSTILE, tags=frozenset({HOSTILE}), undefined=HOSTILE)
    found = report(replace(result(case), reason=HOSTILE, remark=HOSTILE, standing=Triage.FIXED))
    page = written(replace(found, cluster=replace(found.cluster, context=HOSTILE)))
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert "\u202e" not in page
    assert "default-src &#39;none&#39;" in page
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.flaky(reruns=1, only_rerun=["BrowserEndedError"])
async def test_in_a_browser(tmp_path: Path) -> None:
    """By keys alone: finding, opening, choosing a port; then colours of either scheme."""
    path = tmp_path / "page.html"
    hostile = replace(result(replace(CASE, name=HOSTILE)), reason=HOSTILE)
    second = result(OTHER, {WRONG: Verdict.DENY}, {WRONG: Verdict.DENY})
    long = result(LONG, {WRONG: Verdict.DENY}, {WRONG: Verdict.DENY})
    path.write_text(written(replace(report(FAILED, PASSED, second, hostile, SKIPPED, long), past=NIGHTS)))
    async with browser() as page:
        await page.go(path)
        assert await page.ask("document.getElementById('shown').textContent") == "6 of 6 cases"
        assert await page.ask("document.querySelectorAll('#case-0 table.matrix').length") == 3
        captions = "[...document.querySelectorAll('#case-0 caption')].map((c) => c.textContent)"
        assert await page.ask(captions) == ["declared", "simulated", "observed"]
        wrong = "document.querySelector('#case-0 .tables table:last-child td.wrong').title"
        assert await page.ask(wrong) == "y/a → x/a 80/TCP: allow, not as expected"
        assert await page.ask("document.querySelectorAll('#case-1 table.matrix').length") == 0

        await page.press("/")
        await page.write("named udp")
        assert await page.ask("document.getElementById('shown').textContent") == "1 of 6 cases"
        await page.press("Escape")
        for _ in range(3):  # past the two that failed
            await page.press("ArrowDown")
        await page.until("document.activeElement.parentElement.id === 'case-1'")
        await page.press("Enter")
        await page.until("document.querySelectorAll('#case-1 table.matrix').length === 3")
        await page.press("Tab")
        assert await page.ask("document.activeElement.getAttribute('role')") == "tab"
        await page.press("ArrowRight")
        assert await page.ask("document.activeElement.textContent") == "80/UDP"
        assert await page.ask("document.activeElement.getAttribute('aria-selected')") == "true"

        await page.call("Page.navigate", url=f"file://{path}#only=named-ports")
        await page.until("document.getElementById('shown').textContent === '1 of 6 cases'")
        await page.call("Page.navigate", url=f"file://{path}#case-3")
        await page.until("document.querySelector('#case-3').open")
        assert await page.ask("document.querySelector('img')") is None
        assert await page.ask("document.title") != "1"

        for scheme in ("light", "dark"):
            await page.scheme(scheme)
            assert await page.ask(CONTRAST) >= 4.5, scheme  # WCAG 2, AA
        for width in (1200, 320):
            await page.width(width)
            assert await page.ask("document.documentElement.scrollWidth <= innerWidth"), width
        assert page.errors == []


CONTRAST = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('body *:not(script, style, svg, svg *, noscript, input)')]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.checkVisibility());
  return Math.min(...texts.map((e) => {
    const two = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
    return (two[0] + 0.05) / (two[1] + 0.05);
  }));
})()"""
