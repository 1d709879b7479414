"""Staged policies: what they stand for, and what enforcing them would change."""

from __future__ import annotations

import pytest

from netprobe.model.policy import Policy, Staged
from netprobe.policies.records import as_enforced
from tests.policies.calico.objects import V3, calico, read

ENFORCED = [
    calico("NetworkPolicy", "{order: 1}"),
    calico("GlobalNetworkPolicy", "{order: 2}"),
    calico("NetworkPolicy", "{}", version="networking.k8s.io/v1"),
]
STAGED = [  # kind, spec, name: the policies then, as "KIND NAME ORDER"
    ("StagedNetworkPolicy", "{order: 7}", "p", "x/p 7, p 2, x/p 1000"),
    ("StagedNetworkPolicy", "{order: 7, stagedAction: Set}", "q", "x/p 1, p 2, x/p 1000, x/q 7"),
    ("StagedNetworkPolicy", "{stagedAction: Delete}", "p", "p 2, x/p 1000"),
    ("StagedNetworkPolicy", "{stagedAction: Delete}", "q", "x/p 1, p 2, x/p 1000"),
    ("StagedGlobalNetworkPolicy", "{stagedAction: Delete}", "p", "x/p 1, x/p 1000"),
    ("StagedKubernetesNetworkPolicy", "{stagedAction: Delete}", "p", "x/p 1, p 2"),
    ("StagedNetworkPolicy", "{order: 7, stagedAction: Ignore}", "p", "x/p 1, p 2, x/p 1000"),
    ("StagedNetworkPolicy", "{order: 7, stagedAction: Learn}", "p", "x/p 1, p 2, x/p 1000"),
]


@pytest.mark.parametrize(("kind", "spec", "name", "expected"), STAGED)
def test_what_enforcing_a_staged_policy_changes(kind: str, spec: str, name: str, expected: str) -> None:
    policies = [record for obj in ENFORCED if isinstance(record := read(obj)[0], Policy)]
    record, _ = read(calico(kind, spec, version=V3, name=name))
    assert isinstance(record, Staged)
    assert record.kind == kind
    then = as_enforced(policies, [record])
    assert ", ".join(f"{policy.ref} {policy.order:g}" for policy in then) == expected
