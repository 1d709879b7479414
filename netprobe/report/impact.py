"""The impact of a change: a table for terminals, Markdown for pull requests, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from netprobe.explain.why import path
from netprobe.impact import Breach, ChangeBundle, FlowChange, Impact, Unneeded
from netprobe.manifests.change import fix_fields
from netprobe.model.flow import Protocol
from netprobe.model.policy import Policy, PolicyRef
from netprobe.model.text import listed, plain
from netprobe.model.verdict import Cause, Decision, Effect, Side, Verdict
from netprobe.report.document import API_VERSION, causes, flow_fields
from netprobe.report.escape import markdown as escape
from netprobe.report.style import BOLD, BOLD_BAD, BOLD_UNSURE, PLAIN, Detail, Style, status_colour, wrapped
from netprobe.report.tables import markdown_table

MOST_ROWS = 100
"""Rows of each section in table and Markdown. JSON has all."""
SHOWN = 5
"""Names of pods in a sentence."""

_HEADS = {
    FlowChange.OPENS: "Opens",
    FlowChange.CLOSES: "Closes",
    FlowChange.REASON: "Same verdict for another reason",
}
_COLOURS = {FlowChange.OPENS: BOLD_UNSURE, FlowChange.CLOSES: BOLD, FlowChange.REASON: BOLD}

Row = tuple[str, str, str, str, str]
"""From, to, ports, flows, why."""


def title(impact: Impact) -> str:
    """ "1 policy added, 2 changed; 40 pods compared"."""
    revision = impact.revision
    counts: list[str] = []
    for refs, word in (
        (revision.added, "added"),
        (revision.changed, "changed"),
        (revision.deleted, "deleted"),
    ):
        if refs:
            noun = "" if counts else "policy " if len(refs) == 1 else "policies "
            counts.append(f"{len(refs)} {noun}{word}")
    objects = "1 object" if revision.relabelled == 1 else f"{revision.relabelled:,} objects"
    more = f"; labels of {objects} changed" if revision.relabelled else ""
    new = f", {revision.new_pods} of them new" if revision.new_pods else ""
    pods = "1 pod" if impact.pods == 1 else f"{impact.pods:,} pods"
    return f"{', '.join(counts) or 'no policy changed'}{more}; {pods} compared{new}"


def closing(impact: Impact) -> str:
    """ "3 flows open, 12 close, 4 have another reason; 1 against the declaration"."""
    counts = [impact.flows(change) for change in FlowChange]
    if not any(counts) and not impact.breaches and not impact.unclear:
        text = "no flow opens, closes or is decided by other policies"
    else:
        opens = "1 flow opens" if counts[0] == 1 else f"{counts[0]:,} flows open"
        closes = "1 closes" if counts[1] == 1 else f"{counts[1]:,} close"
        keeps = "1 keeps its verdict" if counts[2] == 1 else f"{counts[2]:,} keep their verdict"
        text = f"{opens}, {closes}, {keeps} for another reason"
    checked = impact.declared
    if checked is None:
        return text
    against = sum(len(breach.flows) for breach in impact.breaches)
    text += f"; {against:,} against the declaration"
    unclear = sum(len(breach.flows) for breach in impact.unclear)
    text += f", {unclear:,} unclear" if unclear else ""
    text += f"; {checked.repaired:,} more are as declared than before" if checked.repaired else ""
    return text + (f"; {checked.unmet:,} are not as declared, before and after" if checked.unmet else "")


def table(impact: Impact, style: Style) -> Iterator[str]:
    yield style.paint(plain(title(impact)), BOLD) + "\n"
    every = style.detail is Detail.ALL
    for head, colour, _, rows, more in _sections(impact):
        if head.startswith(_HEADS[FlowChange.REASON]) and not every:
            continue
        yield "\n" + style.paint(plain(head), colour) + "\n"
        for first, second in map(_lines, rows):
            yield wrapped(first, style, "  ") + "\n"
            yield wrapped(second, style, "    ") + "\n" if second else ""
        if more:
            yield f"  and {more:,} more: -o json has all of them\n"
    if (same := impact.flows(FlowChange.REASON)) and not every:
        keep = "1 flow keeps its verdict" if same == 1 else f"{same:,} flows keep their verdict"
        yield f"\n{keep} for another reason: --all shows them\n"
    for note in _notes(impact):
        yield "\n" + wrapped(note, style) + "\n"
    yield "\n" + style.paint(wrapped(closing(impact), style), status_colour(impact.exit_status)) + "\n"


def _lines(row: Sequence[str]) -> tuple[str, str]:
    """A change in two lines: the flows, and why."""
    if len(row) == 4:  # what could be removed
        policy, rule, reason, place = row
        return f"{policy}: {rule}", f"{reason}{f' [{place}]' if place else ''}"
    *declared, source, destination, ports, flows, reason = row
    number = "1 flow" if flows == "1" else f"{flows} flows"
    first = f"{source} -> {destination} {ports} ({number})"
    return (f"declared {declared[0]}: {first}" if declared else first), reason


def markdown(impact: Impact, _style: Style) -> Iterator[str]:
    """A comment for a pull request: dangerous changes first, the rest folded."""
    changes = impact.flows(FlowChange.OPENS) or impact.flows(FlowChange.CLOSES)
    mark = {1: "❌", 3: "❔"}.get(impact.exit_status, "⚠️" if changes else "✅")
    yield f"### {mark} netprobe impact: {escape(title(impact))}\n\n{escape(closing(impact))}\n"
    for head, _, headers, rows, more in _sections(impact):
        folded = not head.startswith(("Against", "Unclear", "Could", "Opens", "Closes"))
        yield f"\n<details><summary>{escape(head)}</summary>\n\n" if folded else f"\n**{escape(head)}**\n\n"
        yield from markdown_table(headers, rows)
        yield f"\nand {more:,} more rows\n" if more else ""
        yield "\n</details>\n" if folded else ""
    for note in _notes(impact):
        yield f"\n{escape(note)}\n"


Section = tuple[str, str, Sequence[str], list[Sequence[str]], int]


def _sections(impact: Impact) -> Iterator[Section]:
    """(heading, colour, columns, rows, how many rows are not shown), most dangerous first."""
    headers = ("From", "To", "Port", "Flows", "Why")
    for head, colour, breaches in (
        ("Against the declaration", BOLD_BAD, impact.breaches),
        ("Unclear", BOLD_UNSURE, impact.unclear),
    ):
        if breaches:
            cells: list[Sequence[str]] = [_breach(impact, one) for one in breaches[:MOST_ROWS]]
            yield f"{head}:", colour, ("Declared", *headers), cells, max(0, len(breaches) - MOST_ROWS)
    kinds: dict[str, list[ChangeBundle]] = {}
    for bundle in impact.bundles:
        scope = "" if bundle.change is FlowChange.REASON else f" {bundle.scope.value}"
        kinds.setdefault(f"{_HEADS[bundle.change]}{scope}:", []).append(bundle)
    for head, bundles in kinds.items():
        rows: list[Sequence[str]] = [_bundle(impact, bundle) for bundle in bundles[:MOST_ROWS]]
        yield head, _COLOURS[bundles[0].change], headers, rows, max(0, len(bundles) - MOST_ROWS)
    if impact.unneeded:
        found: list[Sequence[str]] = [
            (
                str(one.policy),
                f"{one.direction.value} rule {one.rule}" if one.direction else "the whole policy",
                one.reason,
                _place(one),
            )
            for one in impact.unneeded[:MOST_ROWS]
        ]
        columns = ("Policy", "Rule", "Why", "Place")
        yield "Could be removed:", BOLD, columns, found, max(0, len(impact.unneeded) - MOST_ROWS)


def _notes(impact: Impact) -> Iterator[str]:
    yield from (f"Warning: {warning}" for warning in impact.revision.after.warnings)
    if impact.revision.staged:
        yield f"Staged policies as if they were enforced: {listed(impact.revision.staged, SHOWN)}."
    if not impact.pods:
        yield "There are no pods to compare: add workloads with -f or --against, or use --context."
    if impact.left_out:
        names = [str(ref) for ref in impact.left_out]
        yield (
            "Not compared, because they are on their node's network and NetworkPolicy does not define their "
            f"flows: {listed(names, SHOWN)}."
        )


def _bundle(impact: Impact, bundle: ChangeBundle) -> Row:
    before, after = impact.decisions(bundle.sample)
    ports = _ports(impact, bundle)
    reason = why(impact, before, after)
    return str(bundle.sources), str(bundle.destinations), ports, f"{bundle.flows:,}", reason


def _breach(impact: Impact, breach: Breach) -> Sequence[str]:
    flow = breach.flows[0]
    family = f" IPv{flow.family}" if flow.family == 6 else ""
    port = f"{_port(flow.port, flow.protocol)}{family}"
    reason = why(impact, breach.before, breach.after)
    ends = str(flow.source), str(flow.destination)
    return breach.declared.value.upper(), *ends, port, f"{len(breach.flows):,}", reason


def _ports(impact: Impact, bundle: ChangeBundle) -> str:
    family = f" IPv{bundle.family}" if bundle.family else ""
    if bundle.ports is None:
        return f"every port{family}"
    usual = [port for port in bundle.ports if port != (impact.other, Protocol.TCP)]
    words = [_port(*port) for port in usual]
    if len(usual) < len(bundle.ports):
        words.append("any other")
    return ", ".join(words) + family


def _port(number: int, protocol: Protocol) -> str:
    return str(number) if protocol is Protocol.TCP else f"{number}/{protocol.value}"


def why(impact: Impact, before: Decision, after: Decision) -> str:
    """What decides a flow after the change; also what did before, unless that is plain from the verdicts."""
    new = {p.ref: p for p in impact.revision.after.policies}
    old = {p.ref: p for p in impact.revision.before.policies}
    now = "; ".join(_sentences(after, new))
    if before.verdict is after.verdict or (after.verdict is Verdict.ALLOW and not after.because):
        return f"{now} (was: {'; '.join(_sentences(before, old))})"
    return now


def _sentences(decision: Decision, known: dict[PolicyRef, Policy]) -> Iterator[str]:
    if decision.reason and not decision.because:
        yield decision.reason
        return
    denying = [side for side in (decision.egress, decision.ingress) if side.verdict is Verdict.DENY]
    if not denying and not decision.because:
        yield "no policy isolates either end"
        return
    for side in denying or (decision.egress, decision.ingress):
        if side.isolating:
            yield _side(side, known)


def _side(side: Side, known: dict[PolicyRef, Policy]) -> str:
    """ "ingress: denied by shop/default-deny [deny.yaml:3]", "egress: shop/web rule 0 allows"."""
    if not side.allowing:
        names = dict.fromkeys(f"{cause.policy}{_at(cause, known)}" for cause in side.isolating)
        return f"{side.direction.value}: denied by {listed(names, 2)}"
    causes = dict.fromkeys(f"{c.policy} rule {c.rule}{_at(c, known)}" for c in side.allowing)
    return f"{side.direction.value}: allowed by {listed(causes, 2)}"


def _at(cause: Cause, known: dict[PolicyRef, Policy]) -> str:
    policy = known.get(cause.policy)
    if policy is None or policy.origin is None:
        return ""
    at = path(cause) if cause.effect is Effect.ALLOWS else ""
    return f" [{policy.origin.place(at)}]"


def _place(one: Unneeded) -> str:
    at = f"spec.{one.direction.value}[{one.rule}]" if one.direction is not None else ""
    return "" if one.origin is None else str(one.origin.place(at))


def as_json(impact: Impact, _style: Style = PLAIN) -> Iterator[str]:
    """One document, in pieces; docs/impact.schema.json describes it."""
    revision, checked = impact.revision, impact.declared
    head = {
        "apiVersion": API_VERSION,
        "kind": "Impact",
        "staged": [str(ref) for ref in revision.staged],
        "policies": {
            "added": [str(ref) for ref in revision.added],
            "changed": [str(ref) for ref in revision.changed],
            "deleted": [str(ref) for ref in revision.deleted],
        },
        "summary": {
            "pods": impact.pods,
            "new_pods": revision.new_pods,
            "relabelled": revision.relabelled,
            "left_out": len(impact.left_out),
            "opens": impact.flows(FlowChange.OPENS),
            "closes": impact.flows(FlowChange.CLOSES),
            "other_reason": impact.flows(FlowChange.REASON),
            "against_declaration": sum(len(one.flows) for one in impact.breaches) if checked else None,
            "could_not_tell": sum(len(one.flows) for one in impact.unclear) if checked else None,
        },
        "declaration": [_breach_record(one) for one in (checked.breaches if checked else ())],
        "left_out": [str(ref) for ref in impact.left_out],
        "could_go": [
            {
                "policy": str(one.policy),
                "direction": one.direction.value if one.direction else None,
                "rule": one.rule,
                "reason": one.reason,
                "fix": fix_fields(f"remove {one}", [one.change]),
            }
            for one in impact.unneeded
        ],
        "problems": list(revision.after.warnings),
    }
    yield json.dumps(head)[:-1] + ', "changes": ['
    between = "\n"
    for bundle in impact.bundles:
        yield between + json.dumps(_record(impact, bundle))
        between = ",\n"
    yield "\n]}\n"


def _record(impact: Impact, bundle: ChangeBundle) -> dict[str, Any]:
    before, after = impact.decisions(bundle.sample)
    other = (impact.other, Protocol.TCP)
    ports = [port for port in bundle.ports or () if port != other]
    named = [{"port": number, "protocol": protocol.value} for number, protocol in ports]
    return {
        "change": bundle.change.value,
        "scope": bundle.scope.value,
        "from": {"pods": bundle.sources.size, "names": list(bundle.sources.names)},
        "to": {"pods": bundle.destinations.size, "names": list(bundle.destinations.names)},
        "ports": None if bundle.ports is None else named,
        "other_ports": bundle.ports is None or other in bundle.ports,
        "family": bundle.family,
        "flows": bundle.flows,
        "sample": flow_fields(bundle.sample),
        "before": _decision(before),
        "after": _decision(after),
    }


def _breach_record(breach: Breach) -> dict[str, Any]:
    return {
        "declared": breach.declared.value,
        "flows": [flow_fields(flow) for flow in breach.flows],
        "before": _decision(breach.before),
        "after": _decision(breach.after),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {"verdict": decision.verdict.value, "because": causes(decision.because)}
