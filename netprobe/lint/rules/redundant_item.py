"""The rule redundant-item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from netprobe.lint.cover import peer_within, ports_within, rule_within
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.rules.namespaces import pairs
from netprobe.lint.view import View
from netprobe.manifests.change import pointer
from netprobe.model.policy import Direction, Policy

T = TypeVar("T")


@lint_rule(Severity.NOTE)
def redundant_item(view: View) -> Iterator[Finding]:
    """An item of a policy that another item already covers.

    The same peer or port twice, a namespace next to `namespaceSelector: {}`, a network inside a wider one, a
    rule inside another. It does no harm, but readers think that the item limits or adds something. `--fix`
    removes exact repetitions.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: office, namespace: production}
          spec:
            podSelector: {}
            ingress:
              - from:
                  - ipBlock: {cidr: 198.51.100.0/24}
        -         - ipBlock: {cidr: 198.51.100.64/26}
        +         - ipBlock: {cidr: 203.0.113.0/24}
                ports:
                  - port: 443
        -         - port: 443
    """
    for policy in view.cluster.policies:
        for direction in Direction:
            yield from _rules(policy, direction)
        for located in located_rules(policy):
            yield from _peers(view, located)
            for index, other, same in covered(located.rule.ports, lambda a, b: ports_within([a], [b])):
                where = located.pointer("ports", index)
                yield _finding(policy, located.port_path(index), located.port_path(other), same, where)


def _peers(view: View, located: LocatedRule) -> Iterator[Finding]:
    own = located.policy.ref.namespace
    torn = {index for pair in pairs(view, located) for index in (pair.first, pair.first + 1)}
    for index, other, same in covered(located.rule.peers, lambda a, b: peer_within(a, b, own)):
        if not {index, other} <= torn:
            where = located.pointer(located.list_name, index)
            yield _finding(located.policy, located.peer_path(index), located.peer_path(other), same, where)


def covered(items: Sequence[T], within: Callable[[T, T], bool]) -> Iterator[tuple[int, int, bool]]:
    """(index, index of the item that covers it, whether they are equal). Of equal items, the later ones."""
    for index, item in enumerate(items):
        for other, wider in enumerate(items):
            if index == other or not within(item, wider):
                continue
            if within(wider, item) and other > index:
                continue
            yield index, other, item == wider
            break


def _rules(policy: Policy, direction: Direction) -> Iterator[Finding]:
    rules = policy.rules(direction) or ()
    for index, other, same in covered(rules, lambda a, b: rule_within(a, [b], policy.ref.namespace)):
        section = f"spec.{direction.value}"
        where = pointer("spec", direction.value, index)
        yield _finding(policy, f"{section}[{index}]", f"{section}[{other}]", same, where)


def _finding(policy: Policy, path: str, other: str, same: bool, where: str) -> Finding:
    return Finding.about(
        policy,
        path,
        f"adds nothing: {other} {'says the same' if same else 'covers it'}",
        suggestion="remove it",
        severity=Severity.NOTE,
        fix=({"op": "remove", "path": where},) if same else (),
    )
