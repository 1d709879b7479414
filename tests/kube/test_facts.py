"""The network plugin, and policies of other kinds, as discovery and lists show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from netprobe.kube.facts import certain, cni_by_groups, cni_of, other_policies
from netprobe.model.objects import Object
from tests.kube.server import serving


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


CILIUM = "cilium.io"
WIDE = "ciliumclusterwidenetworkpolicies"


def listed(*names: str, more: int = 0) -> dict[str, Any]:
    items = []
    for name in names:
        namespace, _, own = name.rpartition("/")
        items.append({"metadata": {"name": own, **({"namespace": namespace} if namespace else {})}})
    return {"metadata": {"remainingItemCount": more} if more else {}, "items": items}


ONE = {f"{CILIUM}/v2/{WIDE}": listed("allow")}


@pytest.mark.parametrize(
    ("lists", "phrases"),
    [
        pytest.param({}, (), id="no group that is known"),
        pytest.param({f"{CILIUM}/v2/{WIDE}": listed()}, (), id="a kind without objects"),
        pytest.param(
            {f"{CILIUM}/v2/ciliumnodes": listed("pool")},
            (),
            id="a kind that is no policy",
        ),
        pytest.param(ONE, (f"1 {WIDE}.{CILIUM} (allow)",), id="one"),
        pytest.param(
            {f"{CILIUM}/v2/ciliumnetworkpolicies": listed("shop/a", "shop/b", "x/c", "x/d", more=7)},
            (f"11 ciliumnetworkpolicies.{CILIUM} (shop/a, shop/b, x/c, ...)",),
            id="more than are named, more than are listed",
        ),
        pytest.param(
            {
                f"{CILIUM}/v3/{WIDE}": listed("new"),
                f"{CILIUM}/v2/ciliumnetworkpolicies": listed("x/old"),
                f"{CILIUM}/v2/{WIDE}": listed("new"),
            },
            (f"1 {WIDE}.{CILIUM} (new)", f"1 ciliumnetworkpolicies.{CILIUM} (x/old)"),
            id="kinds of several versions: each once",
        ),
        pytest.param(
            {f"{CILIUM}/v2/{WIDE}": 403, f"{CILIUM}/v2/ciliumnetworkpolicies": 500},
            (
                f"{WIDE}.{CILIUM} (may not be listed)",
                f"ciliumnetworkpolicies.{CILIUM} (could not be listed)",
            ),
            id="nobody knows",
        ),
    ],
)
async def test_policies_of_other_kinds(
    tmp_path: Path, lists: dict[str, Any], phrases: tuple[str, ...]
) -> None:
    versions: dict[str, dict[str, list[str]]] = {"apps": {"v1": ["deployments"]}}
    for path in lists:
        group, version, plural = path.split("/")
        versions.setdefault(group, {}).setdefault(version, []).append(plural)

    async def handler(request: web.Request) -> web.Response:
        match request.path.strip("/").split("/"):
            case ["apis"]:
                groups = [{"name": g, "versions": [{"version": v} for v in vs]} for g, vs in versions.items()]
                return web.json_response({"groups": groups})
            case ["apis", group, version]:
                return web.json_response({"resources": [{"name": one} for one in versions[group][version]]})
        answer = lists[request.path.removeprefix("/apis/")]
        if isinstance(answer, int):
            return web.json_response({"message": "no"}, status=answer)
        return web.json_response(answer)

    async with serving(handler, tmp_path) as (cluster, _):
        assert await other_policies(cluster) == phrases


async def test_a_group_whose_own_server_is_down(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/apis":
            groups = [{"name": CILIUM, "versions": [{"version": "v2"}]}]
            return web.json_response({"groups": groups})
        return web.json_response({"message": "the server is currently unable to handle it"}, status=503)

    async with serving(handler, tmp_path) as (cluster, asked):
        (phrase,) = await other_policies(cluster) or ()
    assert phrase == f"{CILIUM} (does not say which kinds it has)"
    assert not certain(phrase)
    assert len(asked.requests) == 4, "few tries: it may be down for good"


async def test_a_server_that_does_not_list_its_groups(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"message": "no"}, status=403)

    async with serving(handler, tmp_path) as (cluster, _):
        assert await other_policies(cluster) is None
