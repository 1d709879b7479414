"""The options that commands share, and the values that they take."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
import pytest

from netprobe.cli.flags import PodFlags
from netprobe.cli.options import as_command
from netprobe.cli.parameters import (
    DURATION,
    EXTERNAL,
    PAIR,
    PORT,
    SHARD,
    TIER,
    TOLERATION,
    Parameter,
    ReportFile,
    report_file,
)
from netprobe.cli.parameters import PortArgument as Port
from netprobe.model.flow import External, PodRef, Protocol
from netprobe.model.policy import Action, Tier
from netprobe.model.text import mirrored
from netprobe.probe import PodOptions
from netprobe.probe.run_objects import pod
from tests.cli.conftest import Program

VALUES: list[tuple[Parameter[Any], dict[str, Any], str]] = [  # what is read as what, and what is refused
    (
        PORT,
        {
            "80": Port(80),
            "53/udp": Port(53, Protocol.UDP),
            "3868/SCTP": Port(3868, Protocol.SCTP),
            "metrics": Port("metrics"),
            "dns/udp": Port("dns", Protocol.UDP),
        },
        "0|65536|-1|HTTP||/udp|80/|80/icmp|\uff18\uff10|80 ",
    ),
    (
        DURATION,
        {"30s": 30, "1m30s": 90, "500ms": 0.5, "30": 30, "0": 0, "1.5s": 1.5, "2h": 7200},
        "|s|-1s|1d|1s 2s|abc|1s!",
    ),
    (
        TIER,
        {
            "kube-admin=1000:pass": Tier("Admin", 1000, Action.PASS),
            "t=-0.5": Tier("t", -0.5, Action.DENY),
        },
        "t|t=|t=first|t=1:allow|=1",
    ),
    (EXTERNAL, {"203.0.113.7": External(ip_address("203.0.113.7"))}, "example.com|10.0.0.0/8"),
    (PAIR, {"a=b=c": ("a", "b=c"), "a=": ("a", "")}, "a|=b|"),
    (SHARD, {"0/3": (0, 3), "2/3": (2, 3)}, "3/3|-1/3|1|a/b|"),
    (
        TOLERATION,
        {
            "*": {"operator": "Exists"},
            "a": {"key": "a", "operator": "Exists"},
            "a:NoExecute": {"key": "a", "operator": "Exists", "effect": "NoExecute"},
            "a=": {"key": "a", "operator": "Equal", "value": ""},
            "a/b=c": {"key": "a/b", "operator": "Equal", "value": "c"},
        },
        "|=a|:NoSchedule|a:|a:Never|a=b:noschedule",
    ),
]


@pytest.mark.parametrize(("parameter", "good", "bad"), VALUES, ids=[row[0].name for row in VALUES])
def test_values(parameter: Parameter[Any], good: dict[str, Any], bad: str) -> None:
    assert {text: parameter.convert(text, None, None) for text in good} == good
    for text in bad.split("|"):
        with pytest.raises(click.BadParameter):
            parameter.convert(text, None, None)


def test_report_files(tmp_path: Path) -> None:
    convert = report_file(["json", "junit"]).convert
    assert convert(f"json={tmp_path}/a=b.json", None, None) == ReportFile("json", tmp_path / "a=b.json")
    assert convert("junit=-", None, None) == ReportFile("junit", None)
    for text in ("json", "json=", "=a", "pdf=a", f"json={tmp_path}", f"json={tmp_path}/no/a"):
        with pytest.raises(click.BadParameter):
            convert(text, None, None)


def given(*arguments: str) -> PodFlags:
    found: list[PodFlags] = []
    as_command(PodFlags)(found.append).main(list(arguments), standalone_mode=False)
    return found[0]


def test_pod_options_reach_the_pod() -> None:
    assert given().options() == PodOptions()
    flags = given(
        *("--image", "quay.example/tools/probe:1", "--registry", "mirror.example:5000/quay"),
        *("--pull-secret", "mirror", "--node-selector", "disk=ssd", "--node-selector", "zone=a"),
        *("--toleration", "dedicated=infra:NoSchedule", "--toleration", "spot"),
    )
    spec = pod(PodRef("a", "b"), "run", flags.options(lifetime_s=900))["spec"]
    assert spec["containers"][0]["image"] == "mirror.example:5000/quay/tools/probe:1"
    assert spec["imagePullSecrets"] == [{"name": "mirror"}]
    assert spec["nodeSelector"] == {"disk": "ssd", "zone": "a"}
    assert spec["tolerations"] == [
        {"key": "dedicated", "operator": "Equal", "value": "infra", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]
    assert spec["activeDeadlineSeconds"] == 900


def test_every_command_that_makes_pods_lists_its_images(program: Program) -> None:
    for command in ("run", "doctor", "conformance", "can a b", "debug a b"):
        done = program(*command.split(), "--print-images", "--registry", "mirror.example/hub")
        assert (done.returncode, done.stdout) == (0, "mirror.example/hub/library/alpine:3.20\n"), done.stderr


@pytest.mark.parametrize(
    ("image", "in_mirror"),
    [
        ("docker.io/library/alpine:3.20", "m/library/alpine:3.20"),
        ("alpine", "m/library/alpine"),
        ("calico/node:v3", "m/calico/node:v3"),
        ("localhost/a:1", "m/a:1"),
        ("host:5000/a/b@sha256:0123", "m/a/b@sha256:0123"),
    ],
)
def test_a_mirror_replaces_the_host_of_an_image(image: str, in_mirror: str) -> None:
    assert mirrored(image, "m") == in_mirror
    assert mirrored(image, "r.example:5000/hub/") == f"r.example:5000/hub/{in_mirror.removeprefix('m/')}"
    assert mirrored(image, None) == image
