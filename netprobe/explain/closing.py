"""What would stop a flow on one side: take away all that allows it, or isolate the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from netprobe.explain.edit import Candidate, directed, with_policy, with_rules
from netprobe.explain.obstacle import say_pods
from netprobe.explain.opening import telling
from netprobe.explain.record import Edit, Item, RuleView, SideView
from netprobe.model.cluster import Cluster
from netprobe.model.policy import Direction, Policy, PolicyRef, Rule, Subject
from netprobe.simulate import Simulator

ADDED_POLICY = 100
"""Cost of a new policy: it isolates a pod that everybody could reach, which wants thought."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What to take out of one rule; the whole of it where neither peers nor ports are named."""

    rule: RuleView
    peers: tuple[Item, ...] = ()
    ports: tuple[Item, ...] = ()

    def left_of(self, rule: Rule) -> Rule | None:
        """The rule that remains. A list never becomes empty: an empty list means everything."""
        if not (self.peers or self.ports):
            return None
        peers, ports = ({item.index for item in items} for items in (self.peers, self.ports))
        return Rule(
            tuple(peer for index, peer in enumerate(rule.peers) if index not in peers),
            tuple(port for index, port in enumerate(rule.ports) if index not in ports),
        )

    def edits(self, policy: PolicyRef) -> Iterator[Edit]:
        for item in (*self.peers, *self.ports):
            text = f"remove {item.path.removeprefix('spec.')} ({item.says}) from {policy}"
            yield Edit(str(policy), item.path, text, item.place)
        if not (self.peers or self.ports):
            text = f"remove {self.rule.path.removeprefix('spec.')} from {policy}"
            yield Edit(str(policy), self.rule.path, text, self.rule.place)


def candidates(simulator: Simulator, side: SideView) -> Iterator[Candidate]:
    """At most one: sides are isolated or not."""
    if side.policies:
        yield _removing(simulator, side)
    elif (made := _isolating(simulator, side)) is not None:
        yield made


def _removing(simulator: Simulator, side: SideView) -> Candidate:
    policies = {policy.ref: policy for policy in simulator.cluster.policies}
    removals = [
        (policies[view.policy], {rule.index: _removal(rule) for rule in view.rules if rule.allows})
        for view in side.policies
        if view.allows
    ]
    edits = tuple(
        edit for policy, some in removals for removal in some.values() for edit in removal.edits(policy.ref)
    )

    def apply(cluster: Cluster) -> Cluster:
        for policy, some in removals:
            left = (
                some[index].left_of(rule) if index in some else rule
                for index, rule in enumerate(policy.rules(side.direction) or ())
            )
            rules = tuple(rule for rule in left if rule is not None)
            cluster = with_rules(cluster, policy.ref, side.direction, rules)
        return cluster

    return Candidate(len(edits), edits, apply)


def _removal(rule: RuleView) -> Removal:
    """The fewest entries that stop the rule, without emptying a list."""
    peers = tuple(item for item in rule.peers if item.obstacle is None)
    ports = tuple(item for item in rule.ports if item.obstacle is None)
    ways = []
    if len(peers) < len(rule.peers):
        ways.append(Removal(rule, peers=peers))
    if len(ports) < len(rule.ports):
        ways.append(Removal(rule, ports=ports))
    return min(ways, key=lambda way: len(way.peers) + len(way.ports), default=Removal(rule))


def _isolating(simulator: Simulator, side: SideView) -> Candidate | None:
    pod = next((pod for ref, pod in simulator.cluster.pods.items() if str(ref) == side.subject), None)
    if pod is None or pod.host_network:
        return None
    ref = PolicyRef(pod.ref.namespace, f"netprobe-suggests-{side.direction.value}")
    subjects = telling(pod.labels)
    made = directed(Policy(ref, Subject(subjects)), side.direction, ())
    text = (
        f"add a policy to {ref.namespace} that selects {say_pods(subjects)} for {side.direction.value} "
        "and allows what they need"
    )
    edit = Edit(f"namespace {ref.namespace}", "", text)
    # the destination is where access is granted in most clusters
    cost = ADDED_POLICY + (side.direction is Direction.EGRESS)
    return Candidate(cost, (edit,), partial(with_policy, policy=made))
