"""`/agnhost connect` in pods: status and words of each kind of end."""

from __future__ import annotations

import re

import pytest

from netprobe.lab import agnhost
from netprobe.lab.fabric.network import LabNetwork
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import World, policy, run


@in_a_lab()
async def test_connect(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/server", {"app": "server"}, "80", "80/UDP")
    await world.add("x/shut", {"app": "shut"}, "80", "80/UDP")
    client = await world.add("x/client")
    await world.enforce(policy("x/deny", {"podSelector": {"matchLabels": {"app": "shut"}}}))
    server, shut = str(world.address("x/server")), str(world.address("x/shut"))
    table = {
        f"{server}:80": "",
        f"--timeout=1s --protocol=tcp {server}:80": "",
        f"{server}:80 --protocol udp --timeout 1s": "",
        f"{server}:81": "REFUSED",
        f"{server}:81 --protocol=udp --timeout=10s": "REFUSED",
        f"{shut}:80 --timeout=100ms": "TIMEOUT",
        f"{shut}:80 --timeout=100ms --protocol=udp": "TIMEOUT",
        "192.0.2.1:80": "OTHER: dial tcp 192.0.2.1:80: connect: network is unreachable",
        "no-port": "UNKNOWN: address no-port: missing port in address",
    }
    for arguments, said in table.items():
        status, out, err = await run(network, client, "/agnhost", "connect", *arguments.split())
        assert (arguments, status, out, err.strip()) == (arguments, int(bool(said)), "", said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("connect", "Error: accepts 1 arg(s), received 0"),
        ("connect a:1 --protocol=icmp", "Unsupported protocol\nicmp"),
        ("connect a:1 --timeout=soon", 'Error: invalid argument "soon" for "--timeout" flag'),
        ("connect a:1 --port=1", "Error: unknown flag: --port"),
        ("connect ::1:80", "UNKNOWN: address ::1:80: too many colons in address"),
        ("connect nowhere.invalid:80", "DNS: lookup nowhere.invalid: "),
        ("netexec", "Error: `agnhost netexec` is not available"),
    ],
)
def test_arguments(capfd: pytest.CaptureFixture[str], arguments: str, said: str) -> None:
    assert agnhost.main(arguments.split()) == 1
    assert re.match(re.escape(said), capfd.readouterr().err)


@pytest.mark.parametrize(
    ("command", "ports"),
    [
        ("/bin/bash -c|/agnhost serve-hostname --tcp --http=false --port 8080", [(8080, "TCP")]),
        ("/bin/bash -c|/agnhost serve-hostname --udp --http=false --port 53", [(53, "UDP")]),
        ("/bin/sh -c|/agnhost netexec --http-port 83 --udp-port=84 --x $(IP)", [(83, "TCP"), (84, "UDP")]),
        ("/agnhost|serve-hostname", [(9376, "TCP")]),
        ("/agnhost|serve-hostname|--port=$(PORT)", []),
        ("/agnhost|porter", []),
        ("sleep|inf", []),
    ],
)
def test_ports_that_its_servers_open(command: str, ports: list[tuple[int, str]]) -> None:
    assert list(agnhost.served(command.split("|"))) == ports
