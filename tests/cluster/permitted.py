"""What the published accounts need, for the tests of runs and of the conformance suite."""

from __future__ import annotations

import secrets
from pathlib import Path

from netprobe.probe.permission import CONFORMANCE, FIXTURE, Need, Permission

NIGHTLY = "../nightly/rbac.yaml"
NEEDED = [p for p in FIXTURE if p.need is not Need.OPTIONAL]
OPTIONAL = [p for p in FIXTURE if p.need is Need.OPTIONAL]
NEEDED_AT_NIGHT = [p for p in CONFORMANCE if p.need is Need.ALWAYS]
CASES = ["a podSelector admits pods of the policy's own namespace", "a label that is taken away again"]
"""Names of cases that make a run of the conformance suite short."""

_SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: rbac}
topology:
  namespaces:
    - name: NAME
      pods:
        - {name: web, labels: {app: web}, ports: [80]}
        - {name: db, labels: {app: db}, ports: [5432]}
policies: [policy.yaml]
expect:
  default: deny
  flows:
    - {from: NAME/web, to: NAME/db, port: 5432, verdict: allow}
steps:
  - name: the label that admits is taken away
    do:
      - label: {pod: NAME/web, set: {app: other}}
      - label: {namespace: NAME, set: {seen: "yes"}}
    expect: {default: deny}
  - name: the policy goes
    do:
      - delete: {networkpolicy: NAME/only-web}
    expect: {default: allow}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-web, namespace: NAME}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 5432}]
"""

_IN_PLACE_SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: rbac-in-place}
expect:
  flows:
    - {from: NAME/web, to: NAME/db, port: 5432, verdict: allow}
"""


def suite(folder: Path) -> Path:
    """A suite that uses all of fixture.yaml, in a namespace that no other test has."""
    name = f"rbac-suite-{secrets.token_hex(3)}"
    (folder / "policy.yaml").write_text(POLICY.replace("NAME", name))
    path = folder / "suite.yaml"
    path.write_text(_SUITE.replace("NAME", name))
    return path


def lacks(permission: Permission) -> str:
    """The beginning of the sentence about one permission that is missing."""
    return f"lack 1 of the permissions that the run needs in the whole cluster: {permission} ("


def in_place_suite(namespace: str) -> str:
    """A suite of one flow, between pods of somebody else."""
    return _IN_PLACE_SUITE.replace("NAME", namespace)
