"""What manifests do not tell is a warning of the cluster, which every format of every command shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from netprobe.manifests import load

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
}
CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "sweep", "namespace": "shop"},
    "spec": {"jobTemplate": {"spec": {"template": {"metadata": {}, "spec": {"containers": []}}}}},
}


@pytest.mark.parametrize(
    ("subject", "peer", "namespace", "expected"),
    [
        ({"pod-template-hash": "abc"}, {}, "shop", ["pod-template-hash", "shop/web"]),
        ({"app": "other", "pod-template-hash": "abc"}, {}, "shop", None),
        ({"pod-template-hash": "abc"}, {}, "other", None),
        ({"job-name": "sweep-123"}, {}, "shop", ["job-name", "shop/sweep"]),
        ({"job-name": "nightly"}, {}, "shop", None),
        ({}, {"pod-template-hash": "abc"}, "shop", ["pod-template-hash", "shop/web"]),
        ({"app": "web"}, {"app": "web"}, "shop", None),
    ],
)
def test_a_policy_that_selects_by_a_label_chosen_later(
    subject: dict[str, str], peer: dict[str, str], namespace: str, expected: list[str] | None, tmp_path: Path
) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": subject},
            "ingress": [{"from": [{"podSelector": {"matchLabels": peer}}]}],
        },
    }
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all([DEPLOYMENT, CRON_JOB, policy]))
    warnings = load([file]).cluster.warnings
    if expected is None:
        assert not warnings
    else:
        (warning,) = warnings
        assert all(word in warning for word in expected), warning
