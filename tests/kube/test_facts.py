"""The network plugin, as DaemonSets and API groups show it."""

from __future__ import annotations

import pytest

from netprobe.kube.facts import cni_by_groups, cni_of
from netprobe.model.objects import Object


def daemon_set(name: str, image: str) -> Object:
    return {
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
    }


@pytest.mark.parametrize(
    ("sets", "cni"),
    [
        ([daemon_set("calico-node", "docker.io/calico/node:v3.32.1")], "Calico"),
        ([daemon_set("agent", "quay.io/cilium/cilium:v1.18")], "Cilium"),
        ([daemon_set("kube-proxy", "kube-proxy:v1"), daemon_set("kindnet", "kindnetd:v1")], "kindnet"),
        ([daemon_set("kube-flannel-ds", "flannel:v1"), daemon_set("calico-node", "x")], "Flannel and Calico"),
        ([daemon_set("kube-proxy", "kube-proxy:v1")], None),
        ([], None),
    ],
)
def test_a_network_plugin_is_named_from_its_daemon_set(sets: list[Object], cni: str | None) -> None:
    found, evidence = cni_of(sets)
    assert found == cni
    assert evidence


def test_where_no_daemon_set_names_one_an_api_group_may() -> None:
    assert cni_by_groups(["apps", "crd.projectcalico.org"]) == (
        "Calico",
        "the API group crd.projectcalico.org",
    )
    assert cni_by_groups(["apps", "batch"]) is None
