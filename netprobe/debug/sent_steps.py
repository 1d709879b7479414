"""The steps that packets show: listeners, connections, paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Leg, Packets, Sender, Try
from netprobe.debug.step import Step, StepStatus, data_of
from netprobe.model.observation import Outcome
from netprobe.model.text import listed

OK, PROBLEM, UNKNOWN, SKIPPED = StepStatus
SHOWN = 4


def listener_step(evidence: Evidence) -> Step:
    packets = evidence.packets
    data: dict[str, Any] = {
        "readiness": [str(leg) for leg in evidence.legs if leg.proven],
        "listening": {
            str(ref): [f"{one.address}:{one.port}" for one in found]
            for ref, found in (packets.listeners if packets else {}).items()
        },
    }
    if not evidence.legs:
        return Step("listener", SKIPPED, "there is nothing to connect to", data)
    accepts = [leg for leg in evidence.legs if _accepts(evidence, leg)]
    refuses = [leg for leg in evidence.legs if evidence.refuses(leg) and leg not in accepts]
    rest = [leg for leg in evidence.legs if leg not in accepts and leg not in refuses]
    parts = [*_accepting(accepts, "accept"), *_accepting(refuses, "refuse")]
    parts += [f"{listed(_ends(rest))}: not known"] if rest else []
    status = PROBLEM if refuses else OK if accepts else UNKNOWN
    return Step("listener", status, "; ".join(parts), data)


def _accepts(evidence: Evidence, leg: Leg) -> bool:
    return leg.proven or evidence.connects(leg) or evidence.free_connects(leg)


def _accepting(legs: Iterable[Leg], stem: str) -> Iterator[str]:
    """ "shop/db-0 accepts 5432", or that of several pods, for each port."""
    for port in dict.fromkeys(leg.flow.port for leg in legs):
        ends = list(dict.fromkeys(leg.end for leg in legs if leg.flow.port == port))
        yield f"{listed(ends)} {stem}{'s' if len(ends) == 1 else ''} {port}"


def _ends(legs: Iterable[Leg]) -> list[str]:
    return list(dict.fromkeys(map(str, legs)))


def packets_step(evidence: Evidence) -> Step:
    packets = evidence.packets
    if packets is None:
        return Step("packets", SKIPPED, evidence.unsent)
    data: dict[str, Any] = {
        "run": packets.run,
        "tries": [data_of(one) for one in packets.tries],
        "canaries": [
            {"node": one.node, "in_force": one.in_force, "seen_s": round(one.seen_s, 2)}
            for one in packets.canaries
        ],
        "lag_s": packets.lag_s,
        "kernel": packets.kernel,
    }
    sent = [tried for leg in evidence.legs if (tried := evidence.seen(leg))]
    if not sent:
        return Step("packets", SKIPPED, evidence.unsent or "there is nothing to connect to", data)
    more = [f"{len(sent) - SHOWN} more"] if len(sent) > SHOWN else []
    parts = [*(f"{_target(one)} {said(one)}" for one in sent[:SHOWN]), *more]
    parts += [*_through_service(packets), *_kernel(packets)]
    return Step("packets", _status(sent), "; ".join(parts), data)


def _status(sent: Iterable[Try]) -> StepStatus:
    failed = [one for one in sent if not one.connected]
    if failed and all(one.outcome in {Outcome.EXEC_FAILED, Outcome.SKIPPED} for one in failed):
        return UNKNOWN
    return PROBLEM if failed else OK


def _target(tried: Try) -> str:
    return f"[{tried.host}]:{tried.port}" if ":" in tried.host else f"{tried.host}:{tried.port}"


def said(tried: Try) -> str:
    """What became of a try, in a few words."""
    if tried.connected and tried.latency_ms is not None:
        return f"connects in {tried.latency_ms:.1f} ms"
    if tried.outcome is Outcome.EXEC_FAILED:
        return f"not tried: {tried.text}"
    return tried.word


def _through_service(packets: Packets) -> Iterator[str]:
    outcomes = [outcome for one in packets.all(Aim.SERVICE) for outcome in one.outcomes]
    if outcomes:
        good = sum(outcome is Outcome.CONNECTED for outcome in outcomes)
        yield f"through the Service {good} of {len(outcomes)} connect"


def _kernel(packets: Packets) -> Iterator[str]:
    """Which side's rules denied a packet, by the counters of a lab."""
    for step in packets.kernel["steps"] if packets.kernel else ():
        if step["effect"] == "denied":
            yield f"the kernel of {step['node']} counted it: {step['stage']} denied"


def path_step(evidence: Evidence) -> Step:
    packets = evidence.packets
    if packets is None:
        return Step("path", SKIPPED, "not tried")
    if evidence.outside:
        free = [one for leg in evidence.legs if (one := evidence.free(leg))]
    else:
        free = list(packets.all(Aim.CONTROL, Sender.FREE))
    data = {"pairs": [data_of(one) for one in free]}
    if not free:
        return Step("path", SKIPPED, "not tried", data)
    if evidence.outside:
        text = f"a pod without policies on {free[0].node}: {_target(free[0])} {said(free[0])}"
        return Step("path", OK if free[0].connected else PROBLEM, text, data)
    broken = [one for one in free if one.lost]
    unknown = [one for one in free if not one.connected and not one.lost]
    status = PROBLEM if broken else UNKNOWN if unknown else OK
    verb = "does not connect" if broken or unknown else "connects"
    here = evidence.source.pod.node if evidence.source.pod else None
    ends = {leg.node for leg in evidence.legs}
    shown = broken or unknown or [one for one in free if one.node == here and one.to_node in ends] or free
    where = listed(dict.fromkeys(map(_way, shown)))
    return Step("path", status, f"a pod pair without policies {verb} {where}", data)


def _way(tried: Try) -> str:
    return f"within {tried.node}" if tried.node == tried.to_node else f"from {tried.node} to {tried.to_node}"
