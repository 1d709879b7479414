"""Groups of pods that no policy can tell apart, and which pod is in which group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netprobe.model.flow import FAMILIES, External, Family, Pod, PodRef
from netprobe.model.policy import Network
from netprobe.simulate.endpoint import Directory, Endpoint, first_of_each_family
from netprobe.simulate.profile import Profile
from netprobe.simulate.service import targets
from netprobe.simulate.vocabulary import Edges, Kept, Vocabulary

Member: TypeAlias = PodRef | External


@dataclass(frozen=True, slots=True)
class EndGroup:
    """Ends that behave alike: pods of one namespace, or one address outside.

    `labels` are those whose key some selector uses, as (key, value); the value is None if no selector uses
    it, and may then differ from member to member. `sample` is the first member and represents all.
    Members may run on different nodes, which matters only between a pod and its own node.
    """

    index: int
    members: tuple[Member, ...]
    namespace: str | None
    labels: Kept
    sample: Endpoint

    @property
    def size(self) -> int:
        return len(self.members)

    @property
    def external(self) -> bool:
        return self.namespace is None

    def has_family(self, family: Family | None) -> bool:
        """Whether its members can take part in flows of a family; without known addresses, in any."""
        addresses = self.sample.addresses
        return not addresses or family in addresses

    def __str__(self) -> str:
        """ "shop app=web (12 pods)", or the name of what is alone in its group."""
        if self.size == 1:
            return str(self.members[0])
        words = ",".join(f"{key}={value}" if value is not None else key for key, value in self.labels)
        return f"{self.namespace} {words or 'other pods'} ({self.size} pods)"


@dataclass(frozen=True, slots=True)
class Places:
    """Where ends are found: the index of their group, and the pod that an external's address belongs to."""

    groups: Mapping[Member, int]
    aliases: Mapping[Member, PodRef]

    def resolve(self, end: Member) -> Member:
        return self.aliases.get(end, end) if self.aliases else end


def group(
    directory: Directory, vocabulary: Vocabulary, profile: Profile, externals: Iterable[External]
) -> tuple[tuple[EndGroup, ...], Places]:
    """All groups, those of a namespace side by side, and the place of every pod and external.

    An external whose address is a pod's is treated as that pod. Linear in the number of pods.
    """
    edges = {family: Edges(_edges(vocabulary, profile, family)) for family in FAMILIES}
    found: dict[tuple[str, Kept, object], list[Pod]] = {}
    behind = [targets(directory.cluster, service) for service in vocabulary.services]
    for ref, pod in directory.cluster.pods.items():
        labels = vocabulary.labels_of(pod)
        ports = vocabulary.ports(pod.ports) if vocabulary.names else None
        account = pod.service_account if vocabulary.accounts else None
        rest = (pod.host_network, ports, _addresses(pod, edges), account, *(each.get(ref) for each in behind))
        found.setdefault((ref.namespace, labels, rest), []).append(pod)
    groups: list[EndGroup] = []
    # In the order of the cluster, so that pairs come in that order.
    places: dict[Member, int] = dict.fromkeys(directory.cluster.pods, 0)
    aliases: dict[Member, PodRef] = {}
    for (namespace, labels, _), pods in sorted(found.items(), key=lambda item: item[0][0]):
        index = len(groups)
        members = tuple([pod.ref for pod in pods])
        groups.append(EndGroup(index, members, namespace, labels, directory.pod(members[0])))
        places.update(dict.fromkeys(members, index))
    for external in dict.fromkeys(externals):
        end = directory.external(external)
        if end.pod_behind is not None:
            aliases[external] = end.pod_behind.ref
            places[external] = places[end.pod_behind.ref]
            continue
        places[external] = len(groups)
        groups.append(EndGroup(len(groups), (external,), None, (), end))
    return tuple(groups), Places(places, aliases)


def given(
    directory: Directory, vocabulary: Vocabulary, parts: Iterable[tuple[Member, ...]]
) -> tuple[tuple[EndGroup, ...], Places]:
    """Groups of exactly these members, those of a namespace side by side.

    The caller knows that no policy tells the members of a group apart. No external has the address of a pod.
    """
    groups: list[EndGroup] = []
    for index, members in enumerate(parts):
        first = members[0]
        if isinstance(first, External):
            groups.append(EndGroup(index, members, None, (), directory.external(first)))
        else:
            pod = directory.cluster.pods[first]
            labels = vocabulary.labels_of(pod)
            groups.append(EndGroup(index, members, first.namespace, labels, directory.pod(first)))
    return tuple(groups), Places({end: each.index for each in groups for end in each.members}, {})


def _edges(vocabulary: Vocabulary, profile: Profile, family: Family) -> set[Network]:
    """The networks that may tell pods apart."""
    blocks = vocabulary.blocks[family] if profile.blocks_match_pods else set()
    return blocks | vocabulary.networks[family]


def _addresses(pod: Pod, edges: Mapping[Family, Edges]) -> object:
    """What policies can see of a pod's addresses: a class a family. A hostNetwork pod is its node."""
    if pod.host_network:
        return (pod.node, pod.addresses, pod.node_addresses)
    first = first_of_each_family(pod.addresses)
    classes = [edges[family].classify(first[family]) if family in first else None for family in FAMILIES]
    return tuple(classes)
