"""The sieve of redundant-policy lets through every pair that a full comparison would find."""

from __future__ import annotations

from netprobe.lint.candidates import Candidates
from netprobe.lint.rules.redundant_policy import redundant
from netprobe.lint.selector_sets import implies, impossible
from netprobe.lint.view import View
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy, PolicyRef, PortRange, Rule
from tests.property.strategies import Shape, random_cluster, seeded


def test_no_covering_policy_is_missed() -> None:
    tried = 0
    for seed in range(40):
        cluster = random_cluster(seeded(seed), Shape(policies=25, pods=1))
        for policies in View(cluster).policies.values():
            candidates = Candidates(policies)
            for policy in policies:
                if impossible(policy.subject.pods):
                    continue
                found = {other.ref for other in candidates.covering(policy)}
                covering = {
                    other.ref
                    for other in policies
                    if implies(policy.subject.pods, other.subject.pods) and redundant(policy, other)
                }
                assert covering <= found
                tried += len(covering - {policy.ref})
    assert tried > 50, "hardly anything was redundant"


def test_few_are_left_where_all_select_the_same_pods() -> None:
    everyone = [
        Policy(
            PolicyRef("shop", f"p{number}"),
            ingress=(Rule((PodPeer(Selector.of({"app": f"a{number}"})),), (PortRange(first=80, last=80),)),),
        )
        for number in range(50)
    ]
    candidates = Candidates(everyone)
    assert [list(candidates.covering(policy)) for policy in everyone] == [[policy] for policy in everyone]
