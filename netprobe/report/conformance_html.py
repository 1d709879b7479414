"""One HTML page that asks no server for anything: features, cases and their matrices, convergence, history.

What can be read without a script is written as HTML; the script adds what a case holds when it is opened,
from JSON in which `<` is written as an escape, and writes text as text, never as markup. A content security
policy lets exactly this script and this style take effect, and no request leave the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

from netprobe.conformance.history import PastCase, PastRun
from netprobe.conformance.result import CaseStatus, Result, Results
from netprobe.report import conformance_charts as charts
from netprobe.report import conformance_page as page
from netprobe.report import conformance_text
from netprobe.report.conformance import Conformance
from netprobe.report.escape import xml
from netprobe.report.style import PLAIN, Style

MOST_PAST = 8
"""Columns of past runs in the table of features."""
MOST_OPEN = 5
"""Cases that are opened with the page: what is wrong, where that can be read."""

SIGNS = {"yes": "✓", "part": "◐", "no": "✗", "open": "?", "later": "…", "none": "–"}  # noqa: RUF001
SIGN_WORDS = {
    "yes": "every case passed",
    "part": "some cases failed",
    "no": "every case failed",
    "open": "could not tell, flaky, or not all tried",
    "later": "not tried",
    "none": "not scored, or skipped",
}


def html(found: Conformance, _style: Style = PLAIN) -> Iterator[str]:
    """The document, piece by piece."""
    style, script = asset("conformance.css"), asset("conformance.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = xml(conformance_text.title(found))
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n'
    yield f"<style>{style}</style>\n</head>\n<body>\n"
    yield '<a class="skip" href="#cases">Skip to the cases</a>\n'
    yield from _top(found, title)
    yield "<main>\n"
    yield from _features(found)
    yield from _changes(found)
    yield from _cases(found.results)
    yield from _convergence(found.results)
    yield from _history(found)
    yield "</main>\n"
    yield f'<script type="application/json" id="data">{_json(page.data(found))}</script>\n'
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _top(found: Conformance, title: str) -> Iterator[str]:
    results, run = found.results, found.run
    yield f"<header>\n<h1>{title}</h1>\n<p>{xml(conformance_text.closing(found))}. "
    yield f"Begun {run.started:%Y-%m-%d %H:%M} UTC, netprobe {xml(run.netprobe)}, "
    yield f"run {xml(run.id or '-')}.</p>\n"
    yield '<ul class="counts">'
    for status in conformance_text.COLUMNS:
        if results.counts[status]:
            head = conformance_text.HEADS[status]
            yield f'<li class="{status.value}"><b>{results.counts[status]}</b> {head}</li>'
    yield "</ul>\n"
    yield from charts.proportions(results.counts)
    for told in (results.enforcement, *results.problems):
        if told:
            yield f'<p class="problem">{xml(told)}</p>\n'
    yield '<nav aria-label="Sections"><a href="#features">Features</a> <a href="#cases">Cases</a> '
    yield '<a href="#convergence">Convergence</a> <a href="#history">History</a></nav>\n</header>\n'


def _features(found: Conformance) -> Iterator[str]:
    past = found.past[-MOST_PAST:]
    lines = {
        feature: [
            *([run.cases[r.case.name].status for r in some if r.case.name in run.cases] for run in past),
            [result.status for result in some],
        ]
        for feature, some in found.results.features().items()
    }
    used = {_kind(statuses) for line in lines.values() for statuses in line}
    yield '<section aria-labelledby="features">\n<h2 id="features">Features</h2>\n'
    kinds = [kind for kind in SIGNS if kind in used]
    legend = "".join(f'<li class="{kind}"><i>{SIGNS[kind]}</i> {SIGN_WORDS[kind]}</li>' for kind in kinds)
    yield f'<ul class="legend">{legend}</ul>\n<div class="wide"><table class="features">\n<thead><tr>'
    yield '<th scope="col">Feature</th>'
    for run in past:
        yield f'<th scope="col" class="past" title="{xml(run.cluster)}">'
        yield f"{run.started:%m-%d}<br>{run.started:%H:%M}</th>"
    yield "".join(f'<th scope="col">{name}</th>' for name in ("this run", "not scored", "skipped"))
    yield "</tr></thead>\n<tbody>\n"
    for feature, (*before, now) in lines.items():
        tag = feature.lower().replace(" ", "-")
        yield f'<tr><th scope="row"><a href="#only={tag}" data-only="{tag}">{xml(feature)}</a></th>'
        yield "".join(_support(statuses, "past") for statuses in before)
        yield _support(now, "now")
        yield "".join(f"<td>{now.count(s) or ''}</td>" for s in (CaseStatus.UNSCORED, CaseStatus.SKIPPED))
        yield "</tr>\n"
    yield "</tbody></table></div>\n"
    asides = [xml(line) for line in conformance_text.asides(found.results)]
    if asides:
        yield "<details class='asides'><summary>Skipped and not scored</summary>\n<ul>"
        yield "".join(f"<li>{line}</li>" for line in asides)
        yield "</ul></details>\n"
    yield "</section>\n"


def _kind(statuses: Sequence[CaseStatus]) -> str:
    """How much of a feature a cluster has."""
    scored = [status for status in statuses if status in conformance_text.SCORED]
    passed = scored.count(CaseStatus.PASSED)
    if not scored:
        return "none"
    if scored.count(CaseStatus.UNTRIED) == len(scored):
        return "later"
    if passed == len(scored):
        return "yes"
    if CaseStatus.FAILED not in scored:
        return "open"
    return "part" if passed else "no"


def _support(statuses: Sequence[CaseStatus], where: str) -> str:
    kind = _kind(statuses)
    scored = sum(status in conformance_text.SCORED for status in statuses)
    rate = f"{statuses.count(CaseStatus.PASSED)}/{scored}" if scored else ""
    told = f'<span class="read">{SIGN_WORDS[kind]}</span>'
    return f'<td class="{where} {kind}"><i aria-hidden="true">{SIGNS[kind]}</i> {told}{rate}</td>'


def _changes(found: Conformance) -> Iterator[str]:
    if found.changes is None:
        return
    yield '<section aria-labelledby="changes">\n<h2 id="changes">Since the run before</h2>\n'
    if found.changes.other_cluster:
        yield f"<p>{xml(conformance_text.other_cluster(found.changes))}</p>\n"
    if not found.changes:
        yield "<p>Nothing changed.</p>\n"
    for one, several, lines in conformance_text.change_groups(found.changes):
        open_ = " open" if len(lines) <= conformance_text.MOST_NAMES else ""
        yield f"<details{open_}><summary>{len(lines)} {several if len(lines) > 1 else one}</summary>\n<ul>"
        yield "".join(f"<li>{xml(line)}</li>" for line in lines)
        yield "</ul></details>\n"
    yield "</section>\n"


def _cases(results: Results) -> Iterator[str]:
    used = [status for status in conformance_text.COLUMNS if results.counts[status]]
    yield '<section aria-labelledby="cases">\n<h2 id="cases" tabindex="-1">Cases</h2>\n'
    yield '<form id="tools" role="search"><label>Find <input id="find" type="search" autocomplete="off" '
    yield 'placeholder="name, rule, tag or feature" aria-keyshortcuts="/"></label>\n'
    yield '<fieldset><legend class="read">Show</legend>'
    for status in used:
        yield f'<label class="{status.value}"><input type="checkbox" name="{status.value}" checked> '
        yield f"{conformance_text.HEADS[status]} {results.counts[status]}</label>"
    yield '</fieldset><output id="shown" aria-live="polite"></output>'
    yield '<span class="soft">/ finds, ↑ ↓ go from case to case, Enter opens one</span></form>\n'
    every = list(enumerate(results.results))
    noted = [
        (index, result)
        for status in conformance_text.NOTED
        for index, result in every
        if result.status is status
    ]
    first = [index for index, result in noted if page.needs_telling(result)][:MOST_OPEN]
    if noted:
        yield f"<h3>{len(noted)} not as expected</h3>\n"
    for index, result in noted:
        yield from _case(index, result, opened=index in first)
    if noted:
        yield "<h3>All others</h3>\n"
    for index, result in every:
        if result.status not in conformance_text.NOTED:
            yield from _case(index, result, opened=False)
    yield "</section>\n"


def _case(index: int, result: Result, *, opened: bool) -> Iterator[str]:
    """`index`: where the script finds what it holds."""
    case, status = result.case, result.status
    open_ = " open" if opened else ""
    known = conformance_text.standing(result)
    find = " ".join([case.name, case.feature, *sorted(case.words)]).lower()
    yield f'<details class="case {status.value}" id="case-{index}" data-case="{index}" '
    yield f'data-find="{xml(find)}"{open_}>'
    yield f'<summary><b class="mark">{conformance_text.HEADS[status]}</b> <span>{xml(case.name)}</span>'
    yield f" <small>{xml(known)}</small>" if known else ""
    yield f' <small class="soft">{xml(case.feature)}</small></summary>\n<div class="body">'
    lines = list(conformance_text.sentences(result))
    if lines:
        yield "<noscript><ul>" + "".join(f"<li>{xml(line)}</li>" for line in lines) + "</ul></noscript>"
    yield "</div></details>\n"


def _convergence(results: Results) -> Iterator[str]:
    slow = sorted(
        (r for r in results.results if r.converged_s is not None), key=lambda r: -(r.converged_s or 0)
    )
    times = [m.converged_s for r in results.results for m in r.moments if m.converged_s is not None]
    yield '<section aria-labelledby="convergence">\n<h2 id="convergence">Convergence</h2>\n'
    if not times:
        yield "<p>No change was timed.</p>\n</section>\n"
        return
    yield "<p>From the API server's answer until a change was seen in force: "
    yield f"half of {len(times)} changes within {charts.percentile(times, 0.5):.3f} s, "
    yield f"95 of 100 within {charts.percentile(times, 0.95):.3f} s, all within {max(times):.3f} s.</p>\n"
    yield from charts.histogram(times)
    yield "<details><summary>The slowest</summary>\n<ol>"
    for result in slow[:10]:
        index = results.results.index(result)
        yield f'<li><a href="#case-{index}">{xml(result.case.name)}</a>: {result.converged_s:.3f} s</li>'
    yield "</ol></details>\n</section>\n"


def _history(found: Conformance) -> Iterator[str]:
    yield '<section aria-labelledby="history">\n<h2 id="history">History</h2>\n'
    if not found.past:
        yield "<p>No run before this one is known: <code>--history DIR</code> keeps them.</p>\n</section>\n"
        return
    runs = (*found.past, _as_past(found))
    used = [status for status in conformance_text.COLUMNS if any(run.counts[status] for run in runs)]
    yield from charts.trend(runs)
    yield '<div class="wide"><table class="runs">\n<thead><tr><th scope="col">Run</th>'
    yield '<th scope="col">Cluster</th>'
    yield "".join(f'<th scope="col">{conformance_text.HEADS[status]}</th>' for status in used)
    yield '<th scope="col">seconds</th><th scope="col">median convergence</th></tr></thead>\n<tbody>\n'
    for run in reversed(runs[-charts.MOST_RUNS :]):
        converged = "" if run.converged_s is None else f"{run.converged_s:.3f} s"
        yield f'<tr><th scope="row">{run.started:%Y-%m-%d %H:%M}</th><td class="text">{xml(run.cluster)}</td>'
        yield "".join(f'<td class="{s.value}">{run.counts[s] or ""}</td>' for s in used)
        yield f"<td>{run.seconds:.1f}</td><td>{converged}</td></tr>\n"
    yield "</tbody></table></div>\n</section>\n"


def _as_past(found: Conformance) -> PastRun:
    cases = {r.case.name: PastCase(r.status, r.converged_s) for r in found.results.results}
    return PastRun(found.run.started, str(found.cluster), found.run.duration_s, cases)


@cache
def asset(name: str) -> str:
    return files("netprobe.report").joinpath(name).read_text(encoding="utf-8")


def _json(value: object) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
