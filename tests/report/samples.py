"""Reports made by hand: one with every status in it, and one with hostile names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

from netprobe.diff import FlowCounts, Row, compare
from netprobe.explain.why import blame
from netprobe.model.flow import End, External, Flow, PodRef, Protocol, ServiceRef, Via
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Control, Observation, Outcome
from netprobe.model.policy import Direction, Origin, Policy, PolicyRef
from netprobe.model.verdict import Cause, Decision, Effect, Side, Verdict
from netprobe.run.record import ClusterInfo, Report, ReportStep, RunInfo

ALLOW, DENY, UNKNOWN = Verdict.ALLOW, Verdict.DENY, Verdict.UNKNOWN
STARTED = datetime(2026, 11, 2, 3, 4, 5, 678_000, tzinfo=UTC)
RUN = RunInfo(STARTED, datetime(2026, 11, 2, 3, 4, 7, 778_000, tzinfo=UTC), "r1", "0.0.0")
LAB = ClusterInfo("lab", None, "v1.33.1", "lab", 2)

WEB, API, PG = PodRef("frontend", "web"), PodRef("backend", "api"), PodRef("database", "pg")
PARTNER = External(IPv4Address("203.0.113.50"), "partner-api")
DENY_ALL, ALLOW_API = PolicyRef("database", "default-deny"), PolicyRef("database", "allow-api")
POLICIES = (
    Policy(DENY_ALL, origin=Origin("policies/deny.yaml", 1, {"spec.podSelector": (6, 3)})),
    Policy(ALLOW_API, origin=Origin("policies/api.yaml", 9, {"spec.ingress[0].from[1]": (20, 9)})),
)

CLOSED = Side(Direction.INGRESS, (Cause(Direction.INGRESS, DENY_ALL, Effect.ISOLATES),))
OPENED = Side(
    Direction.INGRESS, CLOSED.isolating, (Cause(Direction.INGRESS, ALLOW_API, Effect.ALLOWS, 0, 1, 0),)
)
DENIED, ALLOWED = Decision(DENY, ingress=CLOSED), Decision(ALLOW, ingress=OPENED)

DROPPED = Observation(Outcome.TIMED_OUT, DENY, Control("self", "baseline"), attempts=2)
REJECTED = Observation(Outcome.REFUSED, DENY, Control("self", "baseline"), latency_ms=0.4)
CONNECTED = Observation(Outcome.CONNECTED, ALLOW, Control("peer", "baseline"), latency_ms=1.3)
BROKEN = Observation(Outcome.EXEC_FAILED, UNKNOWN, reason="exec: the stream was cut", attempts=3)
NO_SCTP = Observation(Outcome.SKIPPED, UNKNOWN, reason="this kernel has no SCTP")


def step(
    name: str,
    rows: Iterable[Row],
    *,
    converged_s: float | None = None,
    rounds: int = 0,
    execs: int = 0,
    policies: Sequence[Policy] = (),
) -> ReportStep:
    """A step as a run makes it, its rows explained."""
    why = blame(policies)
    explained = tuple(replace(row, why=why(row)) for row in rows)
    return ReportStep(name, explained, FlowCounts.of(explained), converged_s, rounds, execs)


def every_status() -> tuple[Row, ...]:
    """Each status and each kind of mismatch once, ends of every sort, both families."""
    rows: list[tuple[Flow, Verdict | None, Decision, Observation | None]] = [
        (Flow(WEB, PG, 5432), DENY, DENIED, DROPPED),
        (Flow(API, PG, 5432), DENY, ALLOWED, CONNECTED),
        (Flow(API, WEB, 80), ALLOW, Decision(ALLOW), REJECTED),
        (Flow(API, WEB, 8080, family=4), ALLOW, Decision(ALLOW), BROKEN),
        (Flow(API, WEB, 8080, family=6), ALLOW, DENIED, BROKEN),
        (Flow(WEB, API, 53, Protocol.UDP), ALLOW, Decision(ALLOW, undefined="hostNetwork"), CONNECTED),
        (Flow(WEB, API, 3868, Protocol.SCTP), None, Decision(ALLOW), NO_SCTP),
        (Flow(PARTNER, API, 443, via=Via.EXTERNAL), ALLOW, Decision(ALLOW), None),
        (Flow(WEB, ServiceRef("backend", "api"), 80, via=Via.SERVICE), None, Decision(ALLOW), CONNECTED),
    ]
    return compare(
        Matrix((flow, declared) for flow, declared, _, _ in rows if declared),
        Matrix((flow, decision) for flow, _, decision, _ in rows),
        Matrix((flow, observation) for flow, _, _, observation in rows if observation),
    )


def sample() -> Report:
    one = step("policies applied", every_status(), converged_s=0.42, rounds=2, execs=6, policies=POLICIES)
    nodes: dict[End, str] = {WEB: "n1", API: "n2"}
    return Report("two-tier", LAB, RUN, (one,), nodes=nodes)


def all_well() -> Report:
    held = compare(
        Matrix([(Flow(WEB, PG, 5432), DENY), (Flow(API, PG, 5432), ALLOW)]),
        Matrix([(Flow(WEB, PG, 5432), DENIED), (Flow(API, PG, 5432), ALLOWED)]),
    )
    return Report("two-tier", ClusterInfo(), RUN, (step("policies applied", held),))


def unenforced() -> Report:
    """Two steps, a problem, and a cluster that enforces nothing."""
    held = compare(
        Matrix([(Flow(WEB, PG, 5432), DENY)]),
        Matrix([(Flow(WEB, PG, 5432), DENIED)]),
        Matrix([(Flow(WEB, PG, 5432), CONNECTED)]),
    )
    later = [replace(row, step=1) for row in held]
    steps = (
        step("policies applied", held, rounds=1, execs=2, policies=POLICIES),
        step("label the namespaces", later, converged_s=0.3, rounds=2, execs=2, policies=POLICIES),
    )
    return Report(
        "two-tier",
        ClusterInfo("cluster", "staging", "v1.33.1", None, 1),
        RUN,
        steps,
        problems=("namespace np-1 could not be deleted: 403",),
        enforcement="The cluster enforces no NetworkPolicy: a canary that a policy closes was still reached.",
    )


HOSTILE = "a|b`<script>\x1b[31m\u202e\n::error::@all #1 [x](http://e) ]]> \x00 \ud800 %0A &amp;"


def hostile() -> Report:
    """Names that no cluster would accept, but that a file may hold."""
    pod = PodRef(HOSTILE, HOSTILE)
    decision = Decision(
        ALLOW,
        ingress=Side(
            Direction.INGRESS,
            (Cause(Direction.INGRESS, PolicyRef(HOSTILE, HOSTILE), Effect.ISOLATES),),
            (Cause(Direction.INGRESS, PolicyRef(HOSTILE, HOSTILE), Effect.ALLOWS, 0, 0, 0),),
        ),
    )
    held = compare(
        Matrix([(Flow(pod, API, 80), DENY), (Flow(API, pod, 81), DENY)]),
        Matrix([(Flow(pod, API, 80), decision), (Flow(API, pod, 81), decision)]),
        Matrix([(Flow(pod, API, 80), CONNECTED), (Flow(API, pod, 81), BROKEN)]),
    )
    policies = [Policy(PolicyRef(HOSTILE, HOSTILE), origin=Origin(HOSTILE, 3))]
    return Report(
        HOSTILE,
        ClusterInfo("cluster", HOSTILE),
        RUN,
        (step(HOSTILE, held, policies=policies),),
        (HOSTILE,),
        HOSTILE,
    )


def many(number: int) -> Report:
    """`number` pods, all pairs, one port."""
    pods = [PodRef(f"ns{i % 3}", f"pod-{i}") for i in range(number)]
    pairs = [
        (Flow(source, to, 80), DENIED if to.namespace == "ns1" else Decision(ALLOW))
        for source in pods
        for to in pods
        if source is not to
    ]
    return Report(None, ClusterInfo(), RUN, (step("as they are", compare(None, Matrix(pairs))),))


def many_wrong(number: int) -> Report:
    """All but one of `number` pods to the first, which denies them; those of its namespace are declared."""
    pods = [PodRef(f"ns{i % 3}", f"pod-{i}") for i in range(number)]
    flows = [Flow(pod, pods[0], 80) for pod in pods[1:]]
    rows = compare(
        Matrix((flow, ALLOW if flow.source.namespace == "ns0" else DENY) for flow in flows),  # type: ignore[union-attr]
        Matrix((flow, DENIED) for flow in flows),
    )
    return Report("many", ClusterInfo(), RUN, (step("policies applied", rows, policies=POLICIES),))
