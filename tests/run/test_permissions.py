"""What runs request of a cluster is what manifests/rbac/ grants; on the lab, which grants everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.doctor import deny_all
from netprobe.lab import Lab
from netprobe.policies.kinds import NOT_SIMULATED
from netprobe.probe import permission
from netprobe.probe.permission import COPY_ACCOUNTS, DEBUG, EPHEMERAL, FIXTURE, IN_PLACE, READ_POLICIES
from tests.cluster.test_permissions import granted, suite_with_steps, triples
from tests.run.netprobe import kubectl
from tests.run.requests import Request, requests

__all__ = ["requests"]
pytestmark = pytest.mark.lab

NAME = "permitted"
OBJECTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAME}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: shop, namespace: {NAME}, labels: {{team: shop}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: {NAME}, labels: {{app: web}}}}
spec:
  serviceAccountName: shop
  containers:
    - {{name: c, image: i, ports: [{{containerPort: 80}}], readinessProbe: {{tcpSocket: {{port: 80}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: db, namespace: {NAME}, labels: {{app: db}}}}
spec:
  containers:
    - {{name: c, image: i, ports: [{{containerPort: 80}}], readinessProbe: {{tcpSocket: {{port: 80}}}}}}
"""
BY_ACCOUNT = f"""
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: by-account, namespace: {NAME}}}
spec:
  selector: app == 'db'
  ingress: [{{action: Allow, source: {{serviceAccounts: {{names: [shop]}}}}}}]
"""
SUITE = f"""
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {{name: {NAME}}}
expect: {{flows: [{{from: {NAME}/web, to: {NAME}/db, verdict: allow}}]}}
"""
OF_OTHER_KINDS = """
apiVersion: policy.networking.k8s.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: permitted-admin}
spec:
  tier: Admin
  priority: 5
  subject: {namespaces: {}}
  ingress: [{name: none, action: Deny, from: [{namespaces: {matchLabels: {no: namespace}}}]}]
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: permitted-global}
spec: {order: 5, selector: nobody == 'here', ingress: [{action: Deny}]}
"""


@pytest.fixture(scope="module")
def workloads(lab: Lab) -> Iterator[Lab]:
    """A lab with two pods of others, one of which uses a service account."""
    kubeconfig = str(lab.kubeconfig)
    kubectl(kubeconfig, "apply", "-f", "-", stdin=OBJECTS)
    kubectl(kubeconfig, "-n", NAME, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    yield lab
    kubectl(kubeconfig, "delete", "namespace", NAME)


@pytest.fixture(autouse=True)
def _one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor` requests the same in its second round."""
    monkeypatch.setattr(deny_all, "ROUNDS", 1)


def optional_lists(found: set[Request]) -> set[Request]:
    """Lists that a run may be refused, and then reports or does without."""
    optional = {p.resource for p in READ_POLICIES} | {kind.plural for kind in NOT_SIMULATED}
    return {
        (group, resource, verb) for group, resource, verb in found if verb == "list" and resource in optional
    }


def test_a_suite_with_steps_and_policies_of_every_kind(
    workloads: Lab, tmp_path: Path, requests: set[Request], capsys: pytest.CaptureFixture[str]
) -> None:
    path = suite_with_steps(tmp_path)
    policies = tmp_path / "policy.yaml"
    policies.write_text(f"{policies.read_text()}\n---{OF_OTHER_KINDS}")
    assert main(["run", str(path), "--lab", workloads.name, "-o", "json"]) == 0, capsys.readouterr().err
    assert {step["converged_s"] is None for step in json.loads(capsys.readouterr().out)["steps"]} == {False}
    assert requests <= granted("fixture.yaml", "policy-kinds.yaml")
    canaries = {
        ("policy.networking.k8s.io", "clusternetworkpolicies"),
        ("projectcalico.org", "globalnetworkpolicies"),
    }
    assert {(*kind, "update") for kind in canaries} <= requests, (
        "the canaries' policies change with each step"
    )


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        pytest.param(["run", "SUITE", "--in-place"], ["fixture.yaml", "in-place.yaml"], id="in place"),
        pytest.param(
            ["run", "-f", "POLICY", "--in-place", "--shadow-namespace"],
            ["fixture.yaml", "in-place.yaml", "policy-kinds.yaml"],
            id="in a copy",
        ),
        pytest.param(["debug", f"{NAME}/web", f"{NAME}/db"], ["debug.yaml"], id="debug"),
        pytest.param(
            ["debug", f"{NAME}/web", f"{NAME}/db", "--ephemeral"],
            ["debug.yaml", "debug-ephemeral.yaml"],
            id="debug with an ephemeral container",
        ),
        pytest.param(["doctor", "--nodes", "1"], ["fixture.yaml", "policy-kinds.yaml"], id="doctor"),
        pytest.param(["clean"], ["fixture.yaml", "in-place.yaml"], id="clean"),
    ],
)
def test_next_to_the_workloads_of_others(
    workloads: Lab, tmp_path: Path, requests: set[Request], arguments: list[str], files: list[str]
) -> None:
    given = {"SUITE": SUITE, "POLICY": BY_ACCOUNT}
    for name, text in given.items():
        (tmp_path / name).write_text(text)
    words = [str(tmp_path / word) if word in given else word for word in arguments]
    assert main([*words, "--lab", workloads.name]) == 0
    assert requests - optional_lists(requests) <= granted(*files)
    if "--shadow-namespace" in arguments:
        assert ("", "serviceaccounts", "create") in requests


def test_the_roles_are_the_lists_that_are_checked_before_a_run() -> None:
    assert granted("fixture.yaml") == triples(FIXTURE)
    assert granted("in-place.yaml") <= triples((*IN_PLACE, COPY_ACCOUNTS))
    assert granted("fixture.yaml", "in-place.yaml") >= triples(IN_PLACE)
    assert {one for one in granted("debug.yaml") if one[1] != "*"} == triples(DEBUG)
    assert granted("debug-ephemeral.yaml") == triples(EPHEMERAL)
    for file, wanted in permission.FILES.items():
        names = [Path(file).name]
        names = ["fixture.yaml", *names] if "in-place" in file else names
        assert triples(wanted) <= granted(*names), file
