"""How probe pods are made is asked for in the same words by every command that makes some."""

from __future__ import annotations

from typing import Any

import click
import pytest

from netprobe.cli.pod_options import PodFlags, TolerationType, pod_options
from netprobe.model.flow import PodRef
from netprobe.probe import PodOptions
from netprobe.probe.run_objects import pod
from tests.cli.conftest import Program

MAKERS = ("run", "doctor", "conformance")


@click.command
@pod_options
def probe(**options: Any) -> PodFlags:
    return PodFlags.taken_from(options)


def given(*arguments: str) -> PodFlags:
    flags: PodFlags = probe.main(list(arguments), standalone_mode=False)
    return flags


def test_without_any_they_are_the_defaults() -> None:
    assert given().pods() == PodOptions()


def test_all_of_them_reach_the_pod() -> None:
    flags = given(
        *("--image", "quay.example/tools/probe:1", "--registry", "mirror.example:5000/quay"),
        *("--pull-secret", "mirror", "--node-selector", "disk=ssd", "--node-selector", "zone=a"),
        *("--toleration", "dedicated=infra:NoSchedule", "--toleration", "spot"),
    )
    spec = pod(PodRef("a", "b"), "run", flags.pods(lifetime_s=900))["spec"]
    assert spec["containers"][0]["image"] == "mirror.example:5000/quay/tools/probe:1"
    assert spec["imagePullSecrets"] == [{"name": "mirror"}]
    assert spec["nodeSelector"] == {"disk": "ssd", "zone": "a"}
    assert spec["tolerations"] == [
        {"key": "dedicated", "operator": "Equal", "value": "infra", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]
    assert spec["activeDeadlineSeconds"] == 900


@pytest.mark.parametrize(
    ("text", "toleration"),
    [
        ("*", {"operator": "Exists"}),
        ("a", {"key": "a", "operator": "Exists"}),
        ("a:NoExecute", {"key": "a", "operator": "Exists", "effect": "NoExecute"}),
        ("a=", {"key": "a", "operator": "Equal", "value": ""}),
        ("a/b=c", {"key": "a/b", "operator": "Equal", "value": "c"}),
    ],
)
def test_tolerations(text: str, toleration: dict[str, str]) -> None:
    assert TolerationType().convert(text, None, None) == toleration


@pytest.mark.parametrize("text", ["", "=a", ":NoSchedule", "a:", "a:Never", "a=b:noschedule"])
def test_what_is_no_toleration(text: str) -> None:
    with pytest.raises(click.BadParameter, match="an effect of NoSchedule"):
        TolerationType().convert(text, None, None)


@pytest.mark.parametrize("text", ["a", "=b", ""])
def test_what_is_no_node_selector(text: str) -> None:
    with pytest.raises(click.BadParameter, match="KEY=VALUE"):
        given("--node-selector", text)


@pytest.mark.parametrize("command", MAKERS)
def test_every_command_that_makes_pods_lists_its_images(command: str, program: Program) -> None:
    done = program(command, "--print-images", "--registry", "mirror.example/hub")
    assert (done.returncode, done.stdout) == (0, "mirror.example/hub/library/alpine:3.20\n"), done.stderr
