"""Every selector of a cluster's policies, with its place."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.view import View
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy


def all_selectors(view: View) -> Iterator[tuple[Policy, str, Selector]]:
    """(policy, path, selector): the subjects first, then the peers of every rule that has an effect."""
    for policy in view.cluster.policies:
        yield policy, "spec.podSelector", policy.subjects
    for place in view.places:
        for index, peer in enumerate(place.rule.peers):
            if isinstance(peer, PodPeer):
                path = place.peer_path(index)
                yield place.policy, f"{path}.podSelector", peer.pods
                if peer.namespaces is not None:
                    yield place.policy, f"{path}.namespaceSelector", peer.namespaces
