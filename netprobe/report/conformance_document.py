"""The conformance report as JSON, and as network-policy-api's ConformanceReport."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from netprobe import PROJECT_URL
from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.case import Case
from netprobe.conformance.result import CaseResult, CaseStatus, StepResult
from netprobe.conformance.shard import observed_cells
from netprobe.diff import WRONG, Row
from netprobe.explain.why import blame
from netprobe.model.objects import Object
from netprobe.report.document import API_VERSION, flow_fields
from netprobe.report.style import PLAIN, Style

BUNDLE = "v0.3.0"
CLUSTER_NETWORK_POLICY = "ClusterNetworkPolicy"
EXPERIMENTAL = {"cnp-named-port": "ClusterNetworkPolicyNamedPorts"}
"""Rules of the experimental channel, with the names of their features there."""
PASSED = (CaseStatus.PASSED,)
SKIPPED = (CaseStatus.SKIPPED, CaseStatus.UNTRIED)
NOT_COUNTED = (CaseStatus.UNSCORED,)


def as_json(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    yield json.dumps(document(found), indent=2, ensure_ascii=False) + "\n"


def document(found: ConformanceReport) -> dict[str, Any]:
    results = found.results
    return {
        "apiVersion": API_VERSION,
        "kind": "ConformanceReport",
        "cluster": asdict(found.cluster),
        "run": {
            "id": found.run.id,
            "netprobe": found.run.netprobe,
            "started": found.run.started.isoformat(timespec="milliseconds"),
            "finished": found.run.finished.isoformat(timespec="milliseconds"),
            "fixtures": results.fixtures,
            "shard": results.shard,
            "interrupted": results.interrupted,
        },
        "summary": {status.value: results.counts[status] for status in CaseStatus},
        "enforcement": results.enforcement,
        "problems": list(results.problems),
        "changes": None if found.changes is None else asdict(found.changes),
        "cases": [_case(result) for result in results.results],
        "exit_status": found.exit_status,
    }


def _case(result: CaseResult) -> dict[str, Any]:
    return {
        "name": result.case.name,
        "feature": result.case.feature,
        "rules": list(result.case.rules),
        "tags": sorted(result.case.tags),
        "place": result.case.place,
        "status": result.status.value,
        "reason": result.reason,
        "standing": result.standing.value if result.standing else None,
        "remark": result.remark,
        "seconds": round(result.seconds, 3),
        "flows": result.cells,
        "moments": [
            _step(result.case, step, everything=result.status is CaseStatus.UNSCORED) for step in result.steps
        ],
    }


def _step(case: Case, step: StepResult, *, everything: bool) -> dict[str, Any]:
    """`everything`: include all flows, not only those that are not as expected.

    `seen` holds every probed cell in short form: port, source, verdict, destinations.
    """
    explain = blame(step.policies)
    shown = [row for row in step.rows if everything or row.status in WRONG]
    return {
        "status": step.status.value,
        "converged_s": None if step.converged_s is None else round(step.converged_s, 3),
        "problem": step.problem,
        "seen": observed_cells(case, step.rows),
        "flows": [{**_row(row), "why": list(explain(row).sentences)} for row in shown],
        "attempts": [
            {**flow_fields(flow), "observed": [verdict.value for verdict in seen]}
            for flow, seen in step.attempts.items()
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        **flow_fields(row.flow),
        "declared": row.declared and row.declared.value,
        "simulated": row.simulated and row.simulated.value,
        "observed": row.observed and row.observed.value,
        "status": row.status.value,
        "reason": row.reason,
    }


def profiles(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    """The ConformanceReport of network-policy-api v0.3.0 (conformance/apis/v1alpha1).

    The profile ClusterNetworkPolicy has the results of the cases of that feature; the profile NetworkPolicy
    has the same shape and the other results. Fields that a cluster cannot answer are left empty.
    """
    features = found.results.features()
    cluster = features.get(CLUSTER_NETWORK_POLICY, ())
    others = [
        result
        for feature, results in features.items()
        if feature not in {CLUSTER_NETWORK_POLICY, "Calico tiers"}
        for result in results
    ]
    experimental = [result for result in cluster if _experimental_feature(result)]
    profile: Object = {"name": CLUSTER_NETWORK_POLICY}
    if experimental:
        names = {feature for result in experimental if (feature := _experimental_feature(result))}
        works = all(result.status in PASSED for result in experimental)
        key = "supportedFeatures" if works else "unsupportedFeatures"
        profile["experimental"] = {**_profile_status(experimental), key: sorted(names)}
    profile["standard"] = _profile_status([result for result in cluster if not _experimental_feature(result)])
    document: Object = {
        "apiVersion": "policy.networking.k8s.io/v1alpha1",
        "kind": "ConformanceReport",
        "date": found.run.finished.isoformat(timespec="seconds"),
        "implementation": {
            "organization": "",
            "project": found.cluster.cni or "",
            "url": "",
            "version": "",
            "contact": [],
            "additionalInformation": f"netprobe {found.run.netprobe} ({PROJECT_URL}), {found.cluster}",
        },
        "networkPolicyBundleVersion": BUNDLE,
        "profiles": [
            *([profile] if cluster else ()),
            *([{"name": "NetworkPolicy", "standard": _profile_status(others)}] if others else ()),
        ],
    }
    yield yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _experimental_feature(result: CaseResult) -> str | None:
    return next((EXPERIMENTAL[rule] for rule in result.case.rules if rule in EXPERIMENTAL), None)


def _profile_status(results: Sequence[CaseResult]) -> Object:
    counted = [result for result in results if result.status not in NOT_COUNTED]
    skipped = [result.case.name for result in counted if result.status in SKIPPED]
    failed = [result.case.name for result in counted if result.status not in (*PASSED, *SKIPPED)]
    passed = len(counted) - len(skipped) - len(failed)
    status: Object = {
        "result": "failure" if failed else "success",
        "summary": f"{passed} of {len(counted)} cases passed",
        "statistics": {"Passed": passed, "Skipped": len(skipped), "Failed": len(failed)},
    }
    return (
        status | ({"skippedTests": skipped} if skipped else {}) | ({"failedTests": failed} if failed else {})
    )
