"""The registry of policy kinds: every kind that decides flows, and how those that are simulated are read.

A kind that netprobe simulates is one module of this package and one entry here. Kinds without `read` decide
flows too, so their presence qualifies an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from netprobe.model.objects import Object
from netprobe.model.policy import NetworkSet, Origin, Policy, Staged, Tier, Unsimulated
from netprobe.policies import calico_policy, calico_tier, clusternetworkpolicy, networkpolicy
from netprobe.policies.fields import Decoder

Record: TypeAlias = Policy | Staged | Tier | NetworkSet | Unsimulated
"""What an object of one of these kinds is in the model."""


class Read(Protocol):
    """Reads an API object; None if `decoder` has collected any error.

    If the decoder is not strict, a server has accepted the object. None without an error then
    means that the enforcer ignores the object; `decoder.warnings` says why.
    """

    def __call__(
        self,
        decoder: Decoder,
        obj: Mapping[str, Any],
        *,
        namespace: str = "default",
        origin: Origin | None = None,
    ) -> Record | None: ...


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A kind of the Kubernetes API whose objects decide flows, or are part of such decisions.

    `api_versions` are all that netprobe reads, in one or several groups; the first is the one that it writes.
    `qualified`: other groups have a kind of this name, so that `key` needs the group.
    `decides`: its objects are policies; otherwise they are tiers or sets, which decide nothing alone.
    """

    api_versions: tuple[str, ...]
    kind: str
    namespaced: bool = True
    qualified: bool = False
    decides: bool = True
    read: Read | None = None
    dump: Callable[[Policy], Object] | None = None

    @property
    def api_version(self) -> str:
        """The version that netprobe writes."""
        return self.api_versions[0]

    @property
    def plural(self) -> str:
        """The name in paths and RBAC rules."""
        name = self.kind.lower()
        return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.rpartition("/")[0] for each in self.api_versions))

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of the first group."""
        found = (each.rpartition("/") for each in self.api_versions)
        return tuple(version for group, _, version in found if group == self.group)

    @property
    def key(self) -> str:
        """The kind of a PolicyRef: "ClusterNetworkPolicy", "NetworkPolicy.projectcalico.org"."""
        return f"{self.kind}.{self.group}" if self.qualified else self.kind

    def record(self, obj: Mapping[str, Any]) -> Record | None:
        """The record of an object that an API server has accepted; None if its enforcer ignores it.

        ValueError if it is not valid.
        """
        decoder = Decoder(strict=False)
        found = self.read(decoder, obj) if self.read else None
        if decoder.errors:
            raise ValueError(f"not a valid {self.kind}: {decoder.errors[0]}")
        return found

    def policy(self, obj: Mapping[str, Any]) -> Policy:
        """The policy of an object that an API server has accepted; ValueError if it is not a policy."""
        found = self.record(obj)
        if isinstance(found, Policy):
            return found
        raise ValueError(f"a {self.kind} that is not a policy")


NETWORK_POLICY = PolicyKind(
    ("networking.k8s.io/v1",), "NetworkPolicy", read=networkpolicy.read_policy, dump=networkpolicy.dump_policy
)

_CALICO: Final = ("projectcalico.org/v3", "crd.projectcalico.org/v1")

KINDS: Final = (
    NETWORK_POLICY,
    PolicyKind(
        _CALICO,
        "GlobalNetworkPolicy",
        namespaced=False,
        read=calico_policy.read_global_network_policy,
        dump=calico_policy.dump_policy,
    ),
    PolicyKind(
        _CALICO,
        "NetworkPolicy",
        qualified=True,
        read=calico_policy.read_network_policy,
        dump=calico_policy.dump_policy,
    ),
    PolicyKind(_CALICO, "Tier", namespaced=False, decides=False, read=calico_tier.read_tier),
    PolicyKind(
        _CALICO, "GlobalNetworkSet", namespaced=False, decides=False, read=calico_tier.read_network_set
    ),
    PolicyKind(_CALICO, "HostEndpoint", namespaced=False, decides=False, read=calico_tier.read_host_endpoint),
    PolicyKind(_CALICO, "NetworkSet", decides=False, read=calico_tier.read_network_set),
    PolicyKind(
        _CALICO,
        "StagedGlobalNetworkPolicy",
        namespaced=False,
        decides=False,
        read=calico_policy.read_staged_global_network_policy,
    ),
    PolicyKind(_CALICO, "StagedNetworkPolicy", decides=False, read=calico_policy.read_staged_network_policy),
    PolicyKind(
        _CALICO,
        "StagedKubernetesNetworkPolicy",
        decides=False,
        read=calico_policy.read_staged_kubernetes_network_policy,
    ),
    PolicyKind(("cilium.io/v2",), "CiliumClusterwideNetworkPolicy", namespaced=False),
    PolicyKind(("cilium.io/v2",), "CiliumNetworkPolicy"),
    PolicyKind(("crd.antrea.io/v1beta1",), "ClusterNetworkPolicy", namespaced=False, qualified=True),
    PolicyKind(("crd.antrea.io/v1beta1",), "NetworkPolicy", qualified=True),
    PolicyKind(("network.openshift.io/v1",), "EgressNetworkPolicy"),
    PolicyKind(("k8s.ovn.org/v1",), "EgressFirewall"),
    PolicyKind(("security.istio.io/v1", "security.istio.io/v1beta1"), "AuthorizationPolicy", qualified=True),
    PolicyKind(("policy.linkerd.io/v1alpha1",), "AuthorizationPolicy", qualified=True),
    PolicyKind(("networking.gke.io/v1alpha1",), "FQDNNetworkPolicy"),
    PolicyKind(("networking.k8s.aws/v1alpha1",), "ApplicationNetworkPolicy"),
    PolicyKind(("networking.k8s.aws/v1alpha1",), "ClusterNetworkPolicy", namespaced=False, qualified=True),
    PolicyKind(
        ("policy.networking.k8s.io/v1beta1", "policy.networking.k8s.io/v1alpha2"),
        "ClusterNetworkPolicy",
        namespaced=False,
        read=clusternetworkpolicy.CLUSTER.read,
        dump=clusternetworkpolicy.CLUSTER.dump,
    ),
    PolicyKind(
        ("policy.networking.k8s.io/v1alpha1",),
        "AdminNetworkPolicy",
        namespaced=False,
        read=clusternetworkpolicy.ADMIN.read,
        dump=clusternetworkpolicy.ADMIN.dump,
    ),
    PolicyKind(
        ("policy.networking.k8s.io/v1alpha1",),
        "BaselineAdminNetworkPolicy",
        namespaced=False,
        read=clusternetworkpolicy.BASELINE.read,
        dump=clusternetworkpolicy.BASELINE.dump,
    ),
)

SIMULATED: Final = tuple(kind for kind in KINDS if kind.read is not None)
NOT_SIMULATED: Final = tuple(kind for kind in KINDS if kind.read is None)

_BY_NAME: Final = {(group, kind.kind): kind for kind in KINDS for group in kind.groups}
BY_KEY: Final = {kind.key: kind for kind in KINDS}


def kind_of(api_version: str, kind: str) -> PolicyKind | None:
    """The policy kind of an object, whichever version it has; None for other objects."""
    return _BY_NAME.get((api_version.rpartition("/")[0], kind))


_MIRRORS: Final = ("knp.", "kanp.", "kbanp.", "kcnp.")


def is_mirror(obj: Mapping[str, Any]) -> bool:
    """Whether an object only shows a policy of Kubernetes, as Calico's API server does among its own."""
    if not str(obj.get("apiVersion")).startswith("projectcalico.org/"):
        return False
    metadata = obj.get("metadata")
    return isinstance(metadata, Mapping) and str(metadata.get("name")).startswith(_MIRRORS)


DECIDING: Final = ("Namespace", "Pod", "Service", *(kind.key for kind in SIMULATED))
"""The kinds that make up a cluster for the simulator."""
