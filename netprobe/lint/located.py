"""Rules with the paths of their parts in the object, for messages and fixes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.manifests.change import pointer
from netprobe.model.policy import CLUSTER_NETWORK_POLICY, Action, Direction, PodPeer, Policy, Rule

LISTS = {Direction.INGRESS: "from", Direction.EGRESS: "to"}


@dataclass(frozen=True, slots=True)
class LocatedRule:
    """A rule of a policy in effect."""

    policy: Policy
    direction: Direction
    index: int
    rule: Rule

    @property
    def path(self) -> str:
        return f"spec.{self.direction.value}[{self.index}]"

    @property
    def action(self) -> str:
        """As the kind of the policy spells it."""
        action = self.rule.action
        accepts = action is Action.ALLOW and self.policy.kind == CLUSTER_NETWORK_POLICY
        return "Accept" if accepts else action.value.capitalize()

    @property
    def list_name(self) -> str:
        """ "from" or "to"."""
        return LISTS[self.direction]

    def peer_path(self, index: int) -> str:
        return f"{self.path}.{self.list_name}[{index}]"

    def port_path(self, index: int) -> str:
        return f"{self.path}.ports[{index}]"

    def pointer(self, *more: str | int) -> str:
        """The JSON Pointer of the rule, or of something in it."""
        return pointer("spec", self.direction.value, self.index, *more)


def located_rules(policy: Policy) -> Iterator[LocatedRule]:
    """Every rule that has an effect."""
    for direction in Direction:
        for index, rule in enumerate(policy.rules(direction) or ()):
            yield LocatedRule(policy, direction, index, rule)


def reached(located: LocatedRule) -> tuple[PodPeer, ...]:
    """The destination pods of a rule as peers: for ingress, the subjects of the policy."""
    if located.direction is Direction.INGRESS:
        return (PodPeer(located.policy.subject.pods),)
    peers = tuple(peer for peer in located.rule.peers if isinstance(peer, PodPeer))
    return peers if len(peers) == len(located.rule.peers) else ()


def written(policy: Policy, path: str) -> bool:
    """Whether the manifest contains this path. False without a file."""
    return policy.origin is not None and path in policy.origin.places
