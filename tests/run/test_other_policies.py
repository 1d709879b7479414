"""Policies of other kinds next to a run: where there may be any, the report says what was done about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from netprobe.errors import ConflictError
from netprobe.model.flow import Flow, PodRef
from netprobe.probe import PodOptions
from netprobe.probe.guests.conflicts import SideEffect
from netprobe.probe.guests.shadows import Shadow
from netprobe.run.cluster import OpenCluster, OtherPolicies, other_policies
from netprobe.run.in_place import PlannedInPlace
from netprobe.run.preview import preview_in_place
from netprobe.run.record import ClusterInfo
from tests.kube.server import serving
from tests.run.crowd import crowd
from tests.run.test_in_place_plan import here

GROUP = "crd.antrea.io"
ALL = f"clusternetworkpolicies.{GROUP}"
SURE, UNSURE = "they may decide flows, and", "if there are some they may decide flows, and"


@pytest.mark.parametrize(
    ("groups", "policies", "message"),
    [
        pytest.param(200, 200, f"1 {ALL} (default.deny): {SURE}", id="there are some"),
        pytest.param(200, 403, f"{ALL} (may not be listed): {UNSURE}", id="they may not be listed"),
        pytest.param(
            403,
            200,
            f"policies of other kinds (the API server does not say which API groups it has): {UNSURE}",
            id="the groups may not be read",
        ),
    ],
)
async def test_where_there_may_be_any_the_safe_thing_is_done_and_reported(
    tmp_path: Path, groups: int, policies: int, message: str
) -> None:
    answers: dict[str, tuple[int, dict[str, Any]]] = {
        "/apis": (groups, {"groups": [{"name": GROUP, "versions": [{"version": "v1beta1"}]}]}),
        f"/apis/{GROUP}/v1beta1": (200, {"resources": [{"name": "clusternetworkpolicies"}]}),
        f"/apis/{GROUP}/v1beta1/clusternetworkpolicies": (
            policies,
            {"items": [{"metadata": {"name": "default.deny"}}]},
        ),
    }

    async def handler(request: web.Request) -> web.Response:
        status, answer = answers[request.path]
        return web.json_response(answer, status=status)

    async with serving(handler, tmp_path) as (cluster, _):
        found = await other_policies(OpenCluster(cluster, ClusterInfo("cluster", None, "v1", None, None)))
    assert found
    assert list(found.notes("so be careful")) == [f"{message} are not simulated; so be careful"]
    shadow = Shadow(PodRef("shop", "netprobe-1-0"), {"app": "web"}, "n1", (PodRef("shop", "web"),))
    harmed = SideEffect("DaemonSet shop/agent", shadow, "adopts it", harmful=True)
    plan = here(crowd(), Flow(PodRef("shop", "web-0"), PodRef("shop", "db-1"), 80))
    with pytest.raises(ConflictError, match="carry all labels of the real ones, because of"):
        PlannedInPlace(plan, "r1", (harmed,), found, ()).refuse(disturb=False)


async def test_where_there_are_none_nothing_is_reported(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"groups": []})

    async with serving(handler, tmp_path) as (cluster, _):
        found = await other_policies(OpenCluster(cluster, ClusterInfo("cluster", None, "v1", None, None)))
    assert not found
    assert not list(found.notes("anything"))


def test_a_rehearsal_tells_what_the_report_would_note() -> None:
    found = here(crowd(), Flow(PodRef("shop", "web-0"), PodRef("shop", "db-1"), 80))
    beside = OtherPolicies({ALL: True})
    notes = tuple(beside.notes("so be careful"))
    text = "".join(preview_in_place(found, "r1", PodOptions(), (), notes))
    assert f"# note: {ALL}: they may decide flows, and are not simulated; so be careful\n" in text
    assert len(list(yaml.safe_load_all(text))) > 1
