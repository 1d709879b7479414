"""A suite with prefixed namespaces says the same of other names."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.errors import InputError, UsageError
from netprobe.run.steps import suite_moments, suite_steps
from netprobe.simulate import CALICO
from netprobe.suite import load
from tests.scenarios import MANIFESTS


@pytest.mark.parametrize("name", ["namespace-labels", "pipeline", "platform-guardrails", "production"])
def test_every_flow_keeps_its_verdicts(name: str) -> None:
    path = MANIFESTS / name / "suite.yaml"

    def verdicts(prefix: str) -> list[tuple[object, ...]]:
        return [
            (
                str(row.flow).replace("np7-", ""),
                row.declared,
                row.simulated,
                row.status,
                "np7-" in str(row.flow) or "/" not in str(row.flow),
            )
            for step in suite_steps(suite_moments(load(path, prefix=prefix), None, CALICO))
            for row in step.rows
        ]

    assert [one[:4] for one in verdicts("np7-")] == [one[:4] for one in verdicts("")]
    assert all(one[4] for one in verdicts("np7-"))


SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: s}
topology:
  namespaces:
    - {name: shop, pods: [{name: web, labels: {app: web}, ports: [80]}, {name: db, ports: [5432]}]}
    - {name: other, pods: [{name: web}]}
policies: [p.yaml]
expect:
  default: allow
  flows:
    - {from: "*/*", to: "shop/*", verdict: deny}
    - {from: [sho?/app=web, other/*], to: shop/db, port: 5432, verdict: allow}
steps:
  - name: close
    do:
      - label: {pod: shop/db, set: {a: b}}
      - delete: {networkpolicy: shop/db}
    expect: {default: allow}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {}
  ingress:
    - from:
        - namespaceSelector:
            matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [other]}]
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
          podSelector: {matchLabels: {app: web}}
"""


def test_rows_steps_and_selectors_are_rewritten(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.replace("podSelector: {}", ""))
    steps = suite_steps(suite_moments(load(path, prefix="x-"), None, CALICO))
    assert {str(row.flow.source) for row in steps[0].rows} == {"x-shop/web", "x-shop/db", "x-other/web"}
    assert all(step.counts.mismatches == (step is steps[0]) for step in steps)


@pytest.mark.parametrize("prefix", ["X", "-x", "a/b", "a" * 60])
def test_a_prefix_that_makes_no_names_is_refused(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "suite.yaml").write_text(SUITE)
    with pytest.raises(UsageError, match="--namespace-prefix"):
        load(tmp_path / "suite.yaml", prefix=prefix)


def test_selectors_that_are_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: g}\n"
        "spec: {ingress: [{action: Allow, source: {namespaceSelector: projectcalico.org/name == 'shop'}}]}\n"
    )
    (tmp_path / "suite.yaml").write_text(SUITE)
    with pytest.raises(InputError, match=r"cannot rewrite the namespaces in .*shop"):
        load(tmp_path / "suite.yaml", prefix="x-")
