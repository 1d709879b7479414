"""Services on a lab that speaks both families."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from netprobe.lab.fabric.state import LabNode
from netprobe.model.objects import Object
from tests.lab.api.conftest import running
from tests.lab.api.memory import MemoryFabric

SERVICES = "/api/v1/namespaces/default/services"
BOTH = LabNode("n1", (IPv6Address("fd00:172:31:255::1"), IPv4Address("172.31.255.1")))

CASES: list[tuple[Object, list[str]]] = [
    ({}, ["IPv6"]),
    ({"ipFamilies": ["IPv4"]}, ["IPv4"]),
    ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv6", "IPv4"]),
    ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4"]}, ["IPv4", "IPv6"]),
]


@pytest.mark.parametrize(("asked", "families"), CASES, ids=str)
async def test_families_of_a_service(tmp_path: Path, asked: Object, families: list[str]) -> None:
    async with running(tmp_path, fabric=MemoryFabric(nodes=(BOTH,))) as api:
        body = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], **asked}}
        spec = (await api.ok("POST", SERVICES, body))["spec"]
        assert spec["ipFamilies"] == families
        assert [":" in address for address in spec["clusterIPs"]] == [f == "IPv6" for f in families]
        assert spec["clusterIP"] == spec["clusterIPs"][0]


async def test_a_family_that_the_lab_does_not_speak(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        for asked in ({"ipFamilyPolicy": "RequireDualStack"}, {"ipFamilies": ["IPv6"]}):
            body = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], **asked}}
            assert (await api.fails("POST", SERVICES, body))["code"] == 422
        preferred = {"ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 80}]}
        made = await api.ok("POST", SERVICES, {"metadata": {"name": "a"}, "spec": preferred})
        assert made["spec"]["ipFamilies"] == ["IPv4"]
