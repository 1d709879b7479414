"""The registry of policy kinds: every kind that decides flows, and how those that are simulated are read.

A kind that netprobe simulates is one module of this package and one entry here. Kinds without `read` decide
flows too, so their presence qualifies an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from netprobe.model.objects import Object
from netprobe.model.policy import DEFAULT_TIER, NETWORK_POLICY_ORDER, Origin, Policy
from netprobe.policies import networkpolicy
from netprobe.policies.fields import Decoder


class Read(Protocol):
    """Reads an API object; None if `decoder` has collected any error."""

    def __call__(
        self,
        decoder: Decoder,
        obj: Mapping[str, Any],
        *,
        namespace: str = "default",
        origin: Origin | None = None,
    ) -> Policy | None: ...


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A kind of the Kubernetes API whose objects decide flows.

    `tier` and `order` are those of a policy that does not say otherwise.
    """

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...] = ()
    namespaced: bool = True
    tier: str = DEFAULT_TIER.name
    order: float = NETWORK_POLICY_ORDER
    read: Read | None = None
    dump: Callable[[Policy], Object] | None = None

    @property
    def api_version(self) -> str:
        """The version that netprobe writes."""
        return f"{self.group}/{self.versions[0]}"

    def policy(self, obj: Mapping[str, Any]) -> Policy:
        """The policy of an object that an API server has accepted; ValueError if it is not valid."""
        decoder = Decoder(strict=False)
        policy = self.read(decoder, obj) if self.read else None
        if policy is None:
            raise ValueError(f"not a valid {self.kind}: {', '.join(map(str, decoder.errors[:1]))}")
        return policy


NETWORK_POLICY = PolicyKind(
    "networking.k8s.io",
    "NetworkPolicy",
    "networkpolicies",
    ("v1",),
    read=networkpolicy.read_policy,
    dump=networkpolicy.dump_policy,
)

KINDS: Final = (
    NETWORK_POLICY,
    PolicyKind("crd.projectcalico.org", "GlobalNetworkPolicy", "globalnetworkpolicies", namespaced=False),
    PolicyKind("crd.projectcalico.org", "NetworkPolicy", "networkpolicies"),
    PolicyKind("projectcalico.org", "GlobalNetworkPolicy", "globalnetworkpolicies", namespaced=False),
    PolicyKind("projectcalico.org", "NetworkPolicy", "networkpolicies"),
    PolicyKind(
        "cilium.io", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", namespaced=False
    ),
    PolicyKind("cilium.io", "CiliumNetworkPolicy", "ciliumnetworkpolicies"),
    PolicyKind("crd.antrea.io", "ClusterNetworkPolicy", "clusternetworkpolicies", namespaced=False),
    PolicyKind("crd.antrea.io", "NetworkPolicy", "networkpolicies"),
    PolicyKind("policy.networking.k8s.io", "AdminNetworkPolicy", "adminnetworkpolicies", namespaced=False),
    PolicyKind(
        "policy.networking.k8s.io",
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
        namespaced=False,
    ),
    PolicyKind(
        "policy.networking.k8s.io", "ClusterNetworkPolicy", "clusternetworkpolicies", namespaced=False
    ),
)

SIMULATED: Final = tuple(kind for kind in KINDS if kind.read is not None)
NOT_SIMULATED: Final = tuple(kind for kind in KINDS if kind.read is None)

_BY_NAME: Final = {(kind.group, kind.kind): kind for kind in KINDS}


def kind_of(api_version: str, kind: str) -> PolicyKind | None:
    """The policy kind of an object, whichever version it has; None for other objects."""
    return _BY_NAME.get((api_version.rpartition("/")[0], kind))


DECIDING: Final = ("Namespace", "Pod", "Service", *(kind.kind for kind in SIMULATED))
"""The kinds that make up a cluster for the simulator."""
