"""Objects of Calico for the tests, written in short."""

from __future__ import annotations

from typing import Any

import yaml

from netprobe.policies import calico_policy, calico_tier
from netprobe.policies.fields import Decoder
from netprobe.policies.kinds import Read, Record

READERS: dict[str, Read] = {
    "NetworkPolicy": calico_policy.read_network_policy,
    "GlobalNetworkPolicy": calico_policy.read_global_network_policy,
    "StagedNetworkPolicy": calico_policy.read_staged_network_policy,
    "StagedGlobalNetworkPolicy": calico_policy.read_staged_global_network_policy,
    "StagedKubernetesNetworkPolicy": calico_policy.read_staged_kubernetes_network_policy,
    "Tier": calico_tier.read_tier,
    "NetworkSet": calico_tier.read_network_set,
    "GlobalNetworkSet": calico_tier.read_network_set,
}
V3, CRD = "projectcalico.org/v3", "crd.projectcalico.org/v1"


def calico(kind: str, spec: str | dict[str, Any], *, version: str = V3, **metadata: Any) -> dict[str, Any]:
    """An object; `spec` as YAML. It is called "p" and is in the namespace "x" unless the metadata differ."""
    namespace = {} if kind.startswith(("Global", "StagedGlobal", "Tier")) else {"namespace": "x"}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "p", **namespace, **metadata},
        "spec": yaml.safe_load(spec) if isinstance(spec, str) else spec,
    }


def read(obj: dict[str, Any], *, strict: bool = True) -> tuple[Record | None, Decoder]:
    decoder = Decoder(strict=strict)
    return READERS[obj["kind"]](decoder, obj), decoder


def wrong(obj: dict[str, Any]) -> list[str]:
    """What is wrong with an object from a file."""
    record, decoder = read(obj)
    assert (record is None) == bool(decoder.errors) or decoder.warnings, decoder.errors
    return [str(error) for error in decoder.errors]
