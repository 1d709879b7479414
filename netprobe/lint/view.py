"""A cluster as the rules look at it: indexed, with what is known told from what is merely not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netprobe.lint.cover import NAME_LABEL
from netprobe.lint.known import ALWAYS_THERE, NOTHING, Known
from netprobe.model.cluster import Cluster, Service
from netprobe.model.flow import Pod
from netprobe.model.labels import EVERYTHING, Labels, Selector
from netprobe.model.policy import AnyPeer, Direction, IPBlock, Origin, Peer, PodPeer, Policy, PolicyRef, Rule
from netprobe.simulate.match import selects

LISTS = {Direction.INGRESS: "from", Direction.EGRESS: "to"}


@dataclass(frozen=True, slots=True)
class Place:
    """A rule of a policy, and how its parts are called in error messages and in changes."""

    policy: Policy
    direction: Direction
    index: int
    rule: Rule

    @property
    def path(self) -> str:
        return f"spec.{self.direction.value}[{self.index}]"

    @property
    def list_name(self) -> str:
        """ "from" or "to"."""
        return LISTS[self.direction]

    def peer_path(self, index: int) -> str:
        return f"{self.path}.{self.list_name}[{index}]"

    def port_path(self, index: int) -> str:
        return f"{self.path}.ports[{index}]"

    def keys(self, *more: str | int) -> tuple[str | int, ...]:
        """The path of the rule, or of something in it, for a Change."""
        return ("spec", self.direction.value, self.index, *more)


def places(policy: Policy) -> Iterator[Place]:
    """Every rule that has an effect."""
    for direction in Direction:
        for index, rule in enumerate(policy.rules(direction) or ()):
            yield Place(policy, direction, index, rule)


def written(policy: Policy, path: str) -> bool:
    """Whether the manifest has this path. False where the text is not at hand."""
    return policy.origin is not None and path in policy.origin.places


@dataclass(frozen=True, slots=True)
class Refused:
    """One thing that the API server's validation says against a policy."""

    ref: PolicyRef
    path: str
    message: str
    origin: Origin | None = None


class View:
    """Look-ups over one cluster, each computed once. Pods come in the order of the cluster."""

    def __init__(
        self,
        cluster: Cluster,
        known: Known = NOTHING,
        *,
        refused: Iterable[Refused] = (),
        repeated: Iterable[Policy] = (),
        annotations: Mapping[PolicyRef, Labels] | None = None,
    ) -> None:
        self.refused = tuple(refused)
        self.repeated = tuple(repeated)
        self.annotations = annotations or {}
        self.cluster = cluster
        self.known = known
        self.policies: dict[str, list[Policy]] = defaultdict(list)
        for policy in cluster.policies:
            self.policies[policy.ref.namespace].append(policy)
        self.labels: dict[str, Labels] = {
            name: {**namespace.labels, NAME_LABEL: name} for name, namespace in cluster.namespaces.items()
        }
        self.services: dict[str, list[Service]] = defaultdict(list)
        for service in cluster.services.values():
            self.services[service.ref.namespace].append(service)
        self._groups = _grouped(cluster)
        self._selected: dict[tuple[str, Selector], tuple[Pod, ...]] = {}
        self._namespaces: dict[Selector, tuple[str, ...]] = {}
        self._everywhere: dict[tuple[Selector, Selector], tuple[Pod, ...]] = {}

    @property
    def places(self) -> Iterator[Place]:
        for policy in self.cluster.policies:
            yield from places(policy)

    def pods(self, namespace: str, selector: Selector) -> tuple[Pod, ...]:
        """The given pods of a namespace that a selector matches, hostNetwork ones among them."""
        key = (namespace, selector)
        if key not in self._selected:
            self._selected[key] = tuple(
                pod
                for labels, pods in self._groups.get(namespace, ())
                if selects(selector, labels)
                for pod in pods
            )
        return self._selected[key]

    def all_pods(self, namespace: str) -> tuple[Pod, ...]:
        return self.pods(namespace, EVERYTHING)

    def subjects(self, policy: Policy) -> tuple[Pod, ...]:
        return self.pods(policy.ref.namespace, policy.subjects)

    def namespaces(self, selector: Selector) -> tuple[str, ...]:
        """The namespaces whose labels, as far as they were given, a selector matches."""
        if selector not in self._namespaces:
            self._namespaces[selector] = tuple(
                name for name, labels in self.labels.items() if selects(selector, labels)
            )
        return self._namespaces[selector]

    def peers(self, policy: Policy, peer: PodPeer) -> tuple[Pod, ...]:
        """The given pods that a peer names."""
        if peer.namespaces is None:
            return self.pods(policy.ref.namespace, peer.pods)
        key = (peer.namespaces, peer.pods)
        if key not in self._everywhere:
            self._everywhere[key] = tuple(
                pod for name in self.namespaces(peer.namespaces) for pod in self.pods(name, peer.pods)
            )
        return self._everywhere[key]

    def destinations(self, place: Place) -> tuple[Pod, ...]:
        """The given pods that a rule lets be reached; () for egress to more than pods."""
        if place.direction is Direction.INGRESS:
            return self.subjects(place.policy)
        found: dict[object, Pod] = {}
        for peer in place.rule.peers:
            if not isinstance(peer, PodPeer):
                return ()
            found.update((pod.ref, pod) for pod in self.peers(place.policy, peer))
        return tuple(found.values())

    def has_pods(self, namespace: str) -> bool:
        """Whether some pods of a namespace were given."""
        return namespace in self._groups

    def knows_pods(self, namespace: str) -> bool:
        """Whether a pod of the namespace that was not given can be taken not to exist.

        A cluster that is given with all its pods has some in kube-system.
        """
        if self.known.whole and self.has_pods(ALWAYS_THERE):
            return True
        return self.has_pods(namespace) and not self.known.foreign

    def knows_labels(self, namespace: str) -> bool:
        return self.known.whole or namespace in self.known.namespaces


def _grouped(cluster: Cluster) -> Mapping[str, list[tuple[Labels, list[Pod]]]]:
    """Pods of equal labels are matched once."""
    groups: dict[str, dict[frozenset[tuple[str, str]], tuple[Labels, list[Pod]]]] = defaultdict(dict)
    for pod in cluster.pods.values():
        key = frozenset(pod.labels.items())
        groups[pod.ref.namespace].setdefault(key, (pod.labels, []))[1].append(pod)
    return {namespace: list(by_labels.values()) for namespace, by_labels in groups.items()}


def describe(peer: Peer) -> str:
    """A peer in words, as the middle of a sentence."""
    match peer:
        case AnyPeer():
            return "everyone"
        case IPBlock(cidr, excluded):
            return f"{cidr} except {', '.join(map(str, excluded))}" if excluded else str(cidr)
        case PodPeer(pods, namespaces):
            who = "all pods" if pods == EVERYTHING else f"pods {pods}"
            if namespaces is None:
                return f"{who} of its own namespace"
            return f"{who} of {'all namespaces' if namespaces == EVERYTHING else f'namespaces {namespaces}'}"
