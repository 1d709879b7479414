"""Services on a lab that speaks both families."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from netprobe.lab.fabric.state import LabNode
from netprobe.model.objects import Object
from tests.lab.api.conftest import Api, running
from tests.lab.api.memory import MemoryFabric

SERVICES = "/api/v1/namespaces/{namespace}/services"
BOTH = LabNode("n1", (IPv6Address("fd00:172:31:255::1"), IPv4Address("172.31.255.1")))
CASES: list[tuple[Object, list[str]]] = [
    ({}, ["IPv6"]),
    ({"ipFamilies": ["IPv4"]}, ["IPv4"]),
    ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv6", "IPv4"]),
    ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4"]}, ["IPv4", "IPv6"]),
]


def service(name: str, wanted: Object) -> Object:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **wanted}}


async def test_families_of_a_service(tmp_path: Path) -> None:
    async with running(tmp_path, fabric=MemoryFabric(nodes=(BOTH,))) as api:
        for number, (wanted, families) in enumerate(CASES):
            spec = (await api.ok("POST", SERVICES, service(f"s{number}", wanted)))["spec"]
            assert spec["ipFamilies"] == families
            assert [":" in address for address in spec["clusterIPs"]] == [f == "IPv6" for f in families]
            assert spec["clusterIP"] == spec["clusterIPs"][0]


async def test_a_family_that_the_lab_does_not_support(api: Api) -> None:
    for wanted in ({"ipFamilyPolicy": "RequireDualStack"}, {"ipFamilies": ["IPv6"]}):
        assert (await api.fails("POST", SERVICES, service("a", wanted)))["code"] == 422
    made = await api.ok("POST", SERVICES, service("a", {"ipFamilyPolicy": "PreferDualStack"}))
    assert made["spec"]["ipFamilies"] == ["IPv4"]
