"""Services: addresses, ports and where they lead."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from netprobe.manifests import from_objects
from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import Protocol
from tests.manifests.conftest import Problems, places


def service(spec: str) -> Service:
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": yaml.safe_load(spec)}
    (found,) = from_objects([obj]).services.values()
    return found


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("{port: 80}", ServicePort(80, 80)),
        ("{port: 80, targetPort: 8080, name: web}", ServicePort(80, 8080, name="web")),
        ("{port: 53, targetPort: dns, protocol: UDP}", ServicePort(53, "dns", Protocol.UDP)),
        ("{port: 80, targetPort: 0, nodePort: 30080}", ServicePort(80, 80, node_port=30080)),
    ],
)
def test_ports(port: str, expected: ServicePort) -> None:
    assert service(f"{{ports: [{port}]}}").ports == (expected,)


@pytest.mark.parametrize(
    ("spec", "addresses", "selector"),
    [
        ("{clusterIP: 10.96.0.7, selector: {a: b}}", ["10.96.0.7"], {"a": "b"}),
        ("{clusterIPs: [10.96.0.7, 'fd00::7'], clusterIP: 10.96.0.7}", ["10.96.0.7", "fd00::7"], None),
        ("{clusterIP: None, selector: {}}", [], None),  # headless, endpoints by hand
        ("{type: ExternalName, externalName: example.com}", [], None),
        ("{selector: {a: b}}", ["10.96.0.10"], {"a": "b"}),  # never applied: the server would choose
    ],
)
def test_addresses_and_selector(spec: str, addresses: list[str], selector: dict[str, str] | None) -> None:
    found = service(spec)
    assert (list(map(str, found.addresses)), found.selector) == (addresses, selector)


def test_made_up_addresses_differ_from_given_ones() -> None:
    specs: list[dict[str, Any]] = [{}, {"clusterIP": "10.96.0.11"}, {}]
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{index}"}, "spec": spec}
        for index, spec in enumerate(specs)
    ]
    found = [str(each.addresses[0]) for each in from_objects(objects).services.values()]
    assert found == ["10.96.0.10", "10.96.0.11", "10.96.0.12"]


def test_everything_wrong_with_a_service_at_once(problems: Problems) -> None:
    found = problems(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  clusterIP: here\n  ports:\n  - {}\n"
        "  - {port: 80, targetPort: '80'}\n  - {port: 80, targetPort: 1.5}\n"
    )
    assert places(found) == [
        "m.yaml:5:3 spec.clusterIP",
        "m.yaml:7:5 spec.ports[0].port",
        "m.yaml:8:16 spec.ports[1].targetPort",
        "m.yaml:9:16 spec.ports[2].targetPort",
    ]
