"""Two peers where one was intended: the items of `from` and `to` are alternatives.

    - namespaceSelector: ...          - namespaceSelector: ...
    - podSelector: ...                  podSelector: ...
    every pod of those namespaces,    the matching pods
    OR matching pods of this one      of those namespaces

The two differ by one dash, and the left one allows far more. It can be correct, so it is reported only if
it looks like a mistake: a lone namespaceSelector next to a lone podSelector. If the pods are known, it is
reported if pods in those namespaces have the labels (then AND would have selected some of them), or if no
pod in the policy's own namespace does. Nothing is reported if the podSelector clearly means pods of the
policy's own namespace.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: allow-prometheus, namespace: production}
      spec:
        podSelector: {}
        ingress:
          - from:
              - namespaceSelector: {matchLabels: {team: monitoring}}
    -         - podSelector: {matchLabels: {app: prometheus}}
    +           podSelector: {matchLabels: {app: prometheus}}
            ports: [{port: 9187}]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, written
from netprobe.lint.selector_sets import impossible, only
from netprobe.lint.view import View
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import PodPeer

SEVERITY = Severity.WARNING


@dataclass(frozen=True, slots=True)
class Pair:
    """Two adjacent items in a list of peers, `first` and the next, that look like one split in two."""

    first: int
    namespaces: Selector
    pods: Selector


def check(view: View) -> Iterator[Finding]:
    for located in view.rules:
        for pair in pairs(view, located):
            yield Finding.about(
                located.policy,
                located.peer_path(pair.first),
                f"two items of `{located.list_name}` are OR: every pod in namespaces {pair.namespaces}, and "
                f"pods {pair.pods} of {located.policy.ref.namespace} itself; should it be pods {pair.pods} "
                "in those namespaces?",
                suggestion="if so, make them one item: remove the dash before the second selector",
            )


def pairs(view: View, located: LocatedRule) -> Iterator[Pair]:
    """The pairs that look like a mistake. No item is in two of them."""
    taken = -1
    for first in range(len(located.rule.peers) - 1):
        pair = _lone(located, first, first + 1) or _lone(located, first + 1, first)
        if first != taken and pair and _suspicious(view, located, pair):
            taken = first + 1
            yield pair


def _lone(located: LocatedRule, one: int, other: int) -> Pair | None:
    """A lone namespaceSelector at `one` and a lone podSelector at `other`."""
    match located.rule.peers[one], located.rule.peers[other]:
        case PodPeer(pods=everything, namespaces=Selector() as namespaces), PodPeer(
            pods=pods, namespaces=None
        ):
            if everything != EVERYTHING or pods == EVERYTHING or impossible(pods) or impossible(namespaces):
                return None
            if written(located.policy, f"{located.peer_path(one)}.podSelector"):
                return None  # `podSelector: {}` next to it: the author knows the difference
            return Pair(min(one, other), namespaces, pods)
        case _:
            return None


def _suspicious(view: View, located: LocatedRule, pair: Pair) -> bool:
    own = located.policy.ref.namespace
    if pair.namespaces == EVERYTHING:
        return True  # the podSelector would add nothing
    if only(pair.namespaces, NAME_LABEL) == own:
        return False
    if not view.matches_nobody(located.policy, PodPeer(pair.pods, pair.namespaces)):
        return True
    if any(view.has_pods(name) for name in view.namespaces(pair.namespaces)):
        return False  # the pods there are known, and none has the labels
    if view.knows_pods(own):
        return not view.pods(own, pair.pods)
    return len(located.rule.peers) == 2
