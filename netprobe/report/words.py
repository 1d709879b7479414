"""The words that all formats for people share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from netprobe.diff import Counts, Mismatch, Row, Status
from netprobe.model.flow import Flow, Via
from netprobe.model.observation import Outcome
from netprobe.model.verdict import Verdict
from netprobe.run.record import Report, port_text

port = port_text


def families(rows: Iterable[Row]) -> bool:
    """Whether the family of a flow has to be told: rows of both are there, early on."""
    return {4, 6} <= {row.flow.family for row in islice(rows, 1_000)}


def flow(flow: Flow, families: bool) -> str:
    """ "shop/web -> shop/cart 80"."""
    return f"{flow.source} -> {destination(flow)} {port(flow, families)}"


def destination(flow: Flow) -> str:
    """The destination, how it is reached where that is not by the pod's own address, and from which node."""
    told = "" if flow.via in {Via.POD, Via.EXTERNAL, Via.SERVICE} else f" (by {flow.via.value})"
    return f"{flow.destination}{told}{placement(flow)}"


def placement(flow: Flow) -> str:
    """ " (other node)"; "" where a run has not seen to it."""
    return f" ({flow.placement.value.replace('-', ' ')})" if flow.placement else ""


def word(verdict: Verdict | None) -> str:
    return verdict.value.upper() if verdict else "-"


def tables(row: Row) -> str:
    """All that is known, in order: "declared DENY, simulated ALLOW, observed ALLOW"."""
    cells = (("declared", row.declared), ("simulated", row.simulated), ("observed", row.observed))
    return ", ".join(f"{name} {word(verdict)}" for name, verdict in cells if verdict)


def observed(row: Row) -> str:
    """The observed verdict; a DENY by a refusal is one by a rejecting enforcer, and says so."""
    refusals = {Outcome.REFUSED, Outcome.HOST_UNREACHABLE}
    if row.observation and row.observed is Verdict.DENY and row.observation.outcome in refusals:
        return "DENY (rejected)"
    return word(row.observed)


def blamed(row: Row) -> str:
    """Which of the three is at odds with the others: what a mismatch asks its reader to look at."""
    policies = "the policies do not say what is declared"
    cluster = "the cluster does not do what the policies say"
    says = Mismatch.DECLARED_SIMULATED in row.mismatches
    does = Mismatch.SIMULATED_OBSERVED in row.mismatches
    if says and does:
        return f"{policies}, and {cluster}"
    if says or does:
        return policies if says else cluster
    return "the cluster does not do what is declared"


def mark(row: Row) -> str:
    """What a flow that is not simply as expected is."""
    match row.status:
        case Status.AS_EXPECTED:
            return ""
        case Status.MISMATCH:
            return "MISMATCH"
        case Status.UNKNOWN:
            return f"could not tell: {row.reason}"
        case Status.UNDEFINED:
            return f"implementation-defined: {row.reason}"
        case Status.SKIPPED:
            return f"simulated only: {row.reason}" if row.simulated else f"skipped: {row.reason}"


def note(row: Row) -> str:
    """The mark, and what the tables say that the result does not: it stands beside the result."""
    cells = (("declared", row.declared), ("simulated", row.simulated), ("observed", row.observed))
    others = ", ".join(
        f"{name} {word(verdict)}" for name, verdict in cells if verdict not in {None, row.result}
    )
    if row.status is Status.MISMATCH:
        return f"<- MISMATCH: {others}"
    told = row.status in {Status.UNKNOWN, Status.UNDEFINED} and others
    return f"{mark(row)} ({others})" if told else mark(row)


def counted(counts: Counts, good: str = "as expected") -> str:
    """ "12 flows: 11 as expected, 1 mismatch"; a count of zero is left out, except of the flows."""
    parts = [
        (counts.as_expected, good),
        (counts.mismatches, "mismatch" if counts.mismatches == 1 else "mismatches"),
        (counts.unknown, "unknown"),
        (counts.undefined, "implementation-defined"),
        (counts.skipped, "skipped"),
    ]
    told = ", ".join(f"{number:,} {what}" for number, what in parts if number)
    flows = "1 flow" if counts.flows == 1 else f"{counts.flows:,} flows"
    return f"{flows}: {told}" if told else flows


def closing(report: Report) -> str:
    """The summary line."""
    details = [f"{report.run.duration_s:.1f} s"]
    if report.converged_s is not None:
        details.append(f"converged in {report.converged_s:.2f} s")
    if report.execs:
        details.append("1 exec" if report.execs == 1 else f"{report.execs:,} execs")
    good = "as expected" if report.suite is not None else "decided"  # nobody declared what to expect
    return f"{counted(report.counts, good)} ({', '.join(details)})"


MOST_STOOD_FOR = 20


def in_place(report: Report) -> Iterator[str]:
    """What a reader of a run in place has to know to read its rows."""
    told = report.in_place
    if told is None:
        return
    yield f"covered: {told.covered}"
    crowds = [one for one in told.stood_for if len(one.pods) > 1]
    for one in crowds[:MOST_STOOD_FOR]:
        others = [str(pod) for pod in one.pods if pod != one.pod]
        rest = f" and {len(others) - 3} more" if len(others) > 3 else ""
        yield f"{one.pod} stands for {', '.join(others[:3])}{rest} too"
    if len(crowds) > MOST_STOOD_FOR:
        yield f"and {len(crowds) - MOST_STOOD_FOR} more pods stand for others: `-o json` holds them all"
    yield from (f"note: {note}" for note in told.notes)


def title(report: Report) -> str:
    if report.cluster.kind == "simulated":
        profile = f" for {report.cluster.cni}" if report.cluster.cni else ""
        return f"{report.suite or 'the manifests'}, simulated{profile}"
    return f"{report.suite or 'no suite'} on {report.cluster}"


def step_title(report: Report, index: int) -> str:
    step = report.steps[index]
    took = f" (converged in {step.converged_s:.2f} s)" if step.converged_s is not None else ""
    return f"Step {index + 1}: {step.name}{took}"
