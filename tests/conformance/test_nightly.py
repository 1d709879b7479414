"""manifests/nightly: the permissions are those that a run needs, and the command takes the arguments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from netprobe.cli.conformance import command
from netprobe.conformance.baseline import load_expected_failures
from netprobe.conformance.load import builtin
from netprobe.probe.permission import CONFORMANCE, Need

NIGHTLY = Path(__file__).parents[2] / "manifests" / "nightly"
PODS = ("cronjob.yaml", "indexed-job.yaml", "sonobuoy-plugin.yaml")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((NIGHTLY / name).read_text()))


def named(kind: str, name: str) -> dict[str, Any]:
    return next(
        doc for doc in documents("rbac.yaml") if (doc["kind"], doc["metadata"]["name"]) == (kind, name)
    )


@pytest.mark.parametrize(
    ("role", "telling"), [("netprobe-nightly", False), ("netprobe-nightly-telling", True)]
)
def test_the_roles_are_exactly_what_a_run_asks_for(role: str, telling: bool) -> None:
    granted = {
        (group, resource, verb)
        for rule in named("ClusterRole", role)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    wanted = {(p.group, p.resource, p.verb) for p in CONFORMANCE if (p.need is Need.OPTIONAL) is telling}
    assert granted == wanted


def containers(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "image" in value and "args" in value:
            yield value
        for item in value.values():
            yield from containers(item)
    elif isinstance(value, list):
        for item in value:
            yield from containers(item)


@pytest.mark.parametrize("name", PODS)
def test_the_command_takes_the_arguments(name: str, tmp_path: Path) -> None:
    (container,) = containers(documents(name))
    values = {"$(JOB_COMPLETION_INDEX)": "1", "/results/netprobe.prom": str(tmp_path / "netprobe.prom")}
    verb, *arguments = container["args"]
    for old, new in values.items():
        arguments = [argument.replace(old, new) for argument in arguments]
    assert verb == "conformance"
    context = click.Context(command)
    command.parse_args(context, arguments)
    folder = "/tmp/sonobuoy/config" if name.startswith("sonobuoy") else "/etc/netprobe"
    assert context.params["kubeconfig"] == f"{folder}/kubeconfig"


@pytest.mark.parametrize("name", ["cronjob.yaml", "indexed-job.yaml"])
def test_the_pods_keep_to_the_restricted_standard(name: str) -> None:
    (container,) = containers(documents(name))
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (spec,) = [doc["spec"] for doc in documents(name) if doc["kind"] in {"CronJob", "Job"}]
    pod = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_file_of_expected_failures_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "expect-failures"
    path.write_text(named("ConfigMap", "netprobe")["data"]["expect-failures"])
    assert load_expected_failures(path, builtin()) == ()


def test_a_night_that_fails_is_in_the_history_of_the_workflow_too() -> None:
    """What `actions/cache` saves by itself it saves after a success only."""
    (workflow,) = documents("github-actions.yaml")
    steps = workflow["jobs"]["conformance"]["steps"]
    kept = {step["uses"].partition("@")[0]: step for step in steps if "cache" in step.get("uses", "")}
    restored, saved = kept["actions/cache/restore"], kept["actions/cache/save"]
    assert saved["if"] == "always()"
    assert saved["with"]["key"] == restored["with"]["key"]
    assert saved["with"]["key"].startswith(restored["with"]["restore-keys"])
    (run,) = [step["run"] for step in steps if step.get("run", "").startswith("netprobe conformance")]
    assert f"--history {saved['with']['path']} --baseline {saved['with']['path']}" in run
    context = click.Context(command)
    command.parse_args(context, run.split()[2:])
