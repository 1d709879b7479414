"""The objects of a run: careful guests."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from netprobe.model.flow import ContainerPort, External, PodRef, Protocol
from netprobe.model.labels import NAME_LABEL
from netprobe.probe import canary, run_objects
from netprobe.probe.run_objects import OutsideHost, PodOptions

PORTS = (ContainerPort(80, name="http"), ContainerPort(53, Protocol.UDP), ContainerPort(7, Protocol.SCTP))
POD = run_objects.pod(PodRef("x", "a"), "r1", PodOptions(), labels={"app": "a"}, ports=PORTS)


def test_a_pod_satisfies_the_restricted_standard() -> None:
    """Pod Security Standards, profile "restricted": every rule that concerns a pod of ours."""
    spec = POD["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {s["name"] for s in spec["securityContext"]["sysctls"]} <= {"net.ipv4.ip_unprivileged_port_start"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & spec.keys()


def test_a_pod_takes_no_token_little_room_and_ends_by_itself() -> None:
    spec = POD["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] == 3600
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "10m", "memory": "16Mi"}
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_every_port_but_sctp_has_a_listener() -> None:
    text = run_objects.listeners(PORTS)
    assert "$nc -lk -p 80 -e true" in text
    assert text.count("$nc -u -l -p 53 -e head -c 1") == 2
    assert "-p 7 " not in text


BUSYBOX = "BusyBox v1.36.1 multi-call binary. -lk With -e, provides persistent server"


@pytest.mark.parametrize(
    ("programs", "chosen"),
    [
        ({"nc": BUSYBOX}, "nc"),
        ({"nc": "OpenBSD netcat", "busybox": BUSYBOX}, "busybox nc"),
        ({"busybox": BUSYBOX}, "busybox nc"),
        ({"nc": "OpenBSD netcat"}, None),
        ({"nc": "BusyBox v1.36.1 multi-call binary. -l Listen mode"}, None),
        ({}, None),
    ],
)
def test_the_nc_that_can_serve_is_found(tmp_path: Path, programs: dict[str, str], chosen: str | None) -> None:
    """An image's programs, as far as what they say of themselves goes."""
    for name, says in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}' >&2\n")
        (tmp_path / name).chmod(0o755)
    script = f'{run_objects.FIND_NC}\necho "$nc"'
    ended = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    if chosen:
        assert ended.stdout == f"{chosen}\n"
    else:
        assert ended.returncode == 1
        assert "no BusyBox nc that can serve" in ended.stdout


def test_a_namespace_keeps_its_labels_and_not_the_one_that_the_server_sets() -> None:
    made = run_objects.namespace("shop", "r1", {"tier": "a", NAME_LABEL: "shop"})
    assert made["metadata"]["labels"] == {"tier": "a", run_objects.RUN: "r1"}


def test_an_external_host_carries_its_address() -> None:
    host = OutsideHost(External(ip_address("2001:db8::1")), (ContainerPort(443),))
    made = run_objects.external(host, "r1", PodOptions())
    assert made["metadata"]["namespace"] == run_objects.OUTSIDE
    assert made["metadata"]["annotations"] == {run_objects.ADDRESS: "2001:db8::1"}
    assert ":" not in made["metadata"]["name"]


@pytest.mark.parametrize("pod_labels", [False, True])
def test_a_change_opens_one_canary_port_and_closes_that_of_the_change_before(pod_labels: bool) -> None:
    rules = [
        canary.policy("home", "r1", change, pod_labels=pod_labels)["spec"]["ingress"] for change in range(4)
    ]
    ports = [[p["port"] for rule in ingress for p in rule["ports"]] for ingress in rules]
    assert ports == [[9000, 9001], [9000, 9002], [9000, 9001], [9000, 9002]]
    says = {"matchLabels": {run_objects.CHANGE: "3"}}
    (peer,) = rules[3][1]["from"]
    assert peer == {"namespaceSelector": says, **({"podSelector": says} if pod_labels else {})}
