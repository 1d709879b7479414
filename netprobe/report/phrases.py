"""Phrases that the formats for people share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import islice

from netprobe.diff import FlowStatus, Mismatch, Row
from netprobe.model.flow import End, Flow, Via
from netprobe.model.observation import Outcome
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.run.record import ClusterInfo, FlowGroup, Report, not_certain, port_text

MOST_STOOD_FOR = 20
"""Pods of a run in place that are listed with the pods they represent."""


def has_both_families(rows: Iterable[Row]) -> bool:
    """Whether IPv4 and IPv6 flows occur among the first rows, so that flows must name their family."""
    return {4, 6} <= {row.flow.family for row in islice(rows, 1_000)}


def flow(flow: Flow, families: bool) -> str:
    """ "shop/web -> shop/cart 80"."""
    return f"{flow.source} -> {destination(flow)} {port_text(flow, families)}"


def ends(row: Row, families: bool) -> tuple[str, str, str]:
    """Source, destination and port, as in a row of a table."""
    return str(row.flow.source), destination(row.flow), port_text(row.flow, families)


def group(of: FlowGroup) -> tuple[str, ...]:
    """Sources, destinations, port, result, number of flows and note, as in a row of a table."""
    return of.source, of.destination, of.port, verdict(of.result), f"{of.flows:,}", of.note


def destination(flow: Flow) -> str:
    """ "shop/cart", "shop/cart (by dns)", "shop/cart (other node)"."""
    way = "" if flow.via in {Via.POD, Via.EXTERNAL, Via.SERVICE} else f" (by {flow.via.value})"
    return f"{flow.destination}{way}{placement(flow)}"


def placement(flow: Flow) -> str:
    """ " (other node)", or "" if the run did not choose the nodes."""
    return f" ({flow.placement.value.replace('-', ' ')})" if flow.placement else ""


def verdict(of: Verdict | None) -> str:
    return of.value.upper() if of else "-"


def tables(row: Row) -> str:
    """ "declared DENY, simulated ALLOW, observed ALLOW"; without the tables that do not have the flow."""
    return ", ".join(f"{name} {verdict(cell)}" for name, cell in _cells(row) if cell)


def _cells(row: Row) -> tuple[tuple[str, Verdict | None], ...]:
    return ("declared", row.declared), ("simulated", row.simulated), ("observed", row.observed)


def verdicts(row: Row) -> tuple[str, str, str]:
    """Declared, simulated and observed. A flow that is denied by a refusal was rejected, not dropped."""
    observed, refusals = verdict(row.observed), {Outcome.REFUSED, Outcome.HOST_UNREACHABLE}
    if row.observation and row.observed is Verdict.DENY and row.observation.outcome in refusals:
        observed = "DENY (rejected)"
    return verdict(row.declared), verdict(row.simulated), observed


def differing_tables(row: Row) -> str:
    """Which of the tables of a mismatch differ, and so where to look."""
    policies = "the policies do not match the declaration"
    cluster = "the cluster does not do what the policies say"
    policies_differ = Mismatch.DECLARED_SIMULATED in row.mismatches
    cluster_differs = Mismatch.SIMULATED_OBSERVED in row.mismatches
    if policies_differ and cluster_differs:
        return f"{policies}, and {cluster}"
    if policies_differ or cluster_differs:
        return policies if policies_differ else cluster
    return "the cluster does not do what is declared"


def mark(row: Row) -> str:
    """What is special about a flow; "" for a flow that is as expected, and that nothing qualifies."""
    match row.status:
        case FlowStatus.AS_EXPECTED:
            return not_certain(row.decision.qualified_by) if row.decision else ""
        case FlowStatus.MISMATCH:
            return "MISMATCH"
        case FlowStatus.UNKNOWN:
            return f"could not tell: {row.reason}"
        case FlowStatus.UNDEFINED:
            return f"implementation-defined: {row.reason}"
        case FlowStatus.SKIPPED:
            return f"simulated only: {row.reason}" if row.simulated else f"skipped: {row.reason}"


def note(row: Row) -> str:
    """The mark, and the tables that differ from the result, which is in the column before the note."""
    others = ", ".join(
        f"{name} {verdict(cell)}" for name, cell in _cells(row) if cell not in {None, row.result}
    )
    if row.status is FlowStatus.MISMATCH:
        return f"<- MISMATCH: {others}"
    shows_others = row.status in {FlowStatus.UNKNOWN, FlowStatus.UNDEFINED} and others
    return f"{mark(row)} ({others})" if shows_others else mark(row)


def short_note(row: Row) -> str:
    """How a flow differs, for a table below the reasons: the first table that differs, or the status."""
    if row.status is FlowStatus.MISMATCH:
        name, cell = next((name, cell) for name, cell in _cells(row) if cell not in {None, row.result})
        return f"MISMATCH: {name} {verdict(cell)}"
    return mark(row) if row.status is FlowStatus.AS_EXPECTED else mark(row).partition(":")[0]


def namespace(end: End) -> str:
    """The namespace of a pod or Service; the name of a host outside."""
    return getattr(end, "namespace", None) or str(end)


def closing(report: Report) -> str:
    """ "12 flows: 11 as expected, 1 mismatch (2.1 s, converged in 0.02 s, 4 execs)"."""
    counts = report.counts
    statuses = (
        "as expected" if report.suite is not None else "decided",  # without a suite nothing is expected
        "mismatch" if counts.mismatches == 1 else "mismatches",
        "unknown",
        "implementation-defined",
        "skipped",
    )
    numbers = zip(astuple(counts), statuses, strict=True)
    parts = ", ".join(f"{number:,} {status}" for number, status in numbers if number)
    flows = "1 flow" if counts.flows == 1 else f"{counts.flows:,} flows"
    details = [f"{report.run.duration_s:.1f} s"]
    if report.converged_s is not None:
        details.append(f"converged in {report.converged_s:.2f} s")
    if report.execs:
        details.append("1 exec" if report.execs == 1 else f"{report.execs:,} execs")
    return f"{flows}{f': {parts}' if parts else ''} ({', '.join(details)})"


def in_place(report: Report) -> Iterator[str]:
    """What qualifies the answer; for a run in place also which pods were probed, and for which others."""
    yield from (f"warning: {warning}" for warning in warnings(report))
    found = report.in_place
    if found is None:
        return
    yield f"covered: {found.covered}"
    several = [one for one in found.stood_for if len(one.pods) > 1]
    for one in several[:MOST_STOOD_FOR]:
        yield f"{one.pod} also represents {listed(pod for pod in one.pods if pod != one.pod)}"
    if len(several) > MOST_STOOD_FOR:
        yield f"and {len(several) - MOST_STOOD_FOR} more pods represent others: -o json has them all"
    yield from (f"note: {note}" for note in found.notes)


def warnings(report: Report) -> tuple[str, ...]:
    """What qualifies the answer: warnings, and objects that may decide flows too and are not simulated."""
    flows: Counter[str] = Counter()
    for step in report.steps:
        if step.policies.cluster.unsimulated:  # otherwise no row is qualified, and there may be many
            for row in step.rows:
                others = row.decision.qualified_by if row.decision else ()
                flows.update(dict.fromkeys(f"{one.ref.kind} {one.ref}" for one in others).keys())
    found = list(report.warnings)
    for name, number in flows.items():
        which = "1 flow" if number == 1 else f"{number:,} flows"
        found.append(f"{which} may also be decided by {name}, which is not simulated")
    return tuple(found)


def title(report: Report) -> str:
    return suite_on(report.suite, report.cluster)


def simulated(suite: str | None, cluster: ClusterInfo) -> str:
    """What was simulated: the suite, the policies of a cluster, or manifests."""
    return suite or (f"cluster {cluster.context}" if cluster.context else "the manifests")


def suite_on(suite: str | None, cluster: ClusterInfo) -> str:
    """ "two-tier on the lab", "two-tier, simulated for calico", "cluster prod, simulated for calico"."""
    if cluster.kind == "simulated":
        return f"{simulated(suite, cluster)}, simulated{f' for {cluster.cni}' if cluster.cni else ''}"
    return f"{suite or 'no suite'} on {cluster}"


def step_title(report: Report, index: int) -> str:
    step = report.steps[index]
    converged = f" (converged in {step.converged_s:.2f} s)" if step.converged_s is not None else ""
    return f"Step {index + 1}: {step.name}{converged}"
