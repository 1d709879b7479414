"""The ConformanceReport of network-policy-api v0.3.0 (conformance/apis/v1alpha1).

The profile ClusterNetworkPolicy has the results of netprobe's cases of that feature, a profile NetworkPolicy
of the same shape the others. What a cluster does not say about itself is left to be filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from netprobe import PROJECT_URL
from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.result import CaseResult, CaseStatus
from netprobe.model.objects import Object
from netprobe.report.style import PLAIN, Style

BUNDLE = "v0.3.0"
CLUSTER_NETWORK_POLICY = "ClusterNetworkPolicy"
EXPERIMENTAL = {"cnp-named-port": "ClusterNetworkPolicyNamedPorts"}
"""Rules of the experimental channel, with the names of their features there."""

PASSED = (CaseStatus.PASSED,)
SKIPPED = (CaseStatus.SKIPPED, CaseStatus.UNTRIED)
NOT_COUNTED = (CaseStatus.UNSCORED,)


def profiles(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    features = found.results.features()
    cluster = features.get(CLUSTER_NETWORK_POLICY, ())
    others = [
        result
        for feature, results in features.items()
        if feature not in {CLUSTER_NETWORK_POLICY, "Calico tiers"}
        for result in results
    ]
    experimental = [result for result in cluster if _feature(result)]
    profile: Object = {"name": CLUSTER_NETWORK_POLICY}
    if experimental:
        names = {feature for result in experimental if (feature := _feature(result))}
        works = all(result.status in PASSED for result in experimental)
        key = "supportedFeatures" if works else "unsupportedFeatures"
        profile["experimental"] = {**_status(experimental), key: sorted(names)}
    profile["standard"] = _status([result for result in cluster if not _feature(result)])
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
            *([{"name": "NetworkPolicy", "standard": _status(others)}] if others else ()),
        ],
    }
    yield yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _feature(result: CaseResult) -> str | None:
    return next((EXPERIMENTAL[rule] for rule in result.case.rules if rule in EXPERIMENTAL), None)


def _status(results: Sequence[CaseResult]) -> Object:
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
