"""manifests/rbac/: exactly what a run asks for, no verb too few and none too many, on a real cluster."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from netprobe.cli import main
from netprobe.model.objects import Object
from netprobe.policies.kinds import NOT_SIMULATED
from netprobe.probe.permission import COPY_ACCOUNTS, FIXTURE, IN_PLACE, Permission
from tests.cluster import permitted
from tests.cluster.account import Account, account, kubectl, published, without
from tests.cluster.permitted import NEEDED, OPTIONAL, lacks
from tests.run.netprobe import netprobe
from tests.run.requests import Request


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return permitted.suite(tmp_path)


def namespaces(admin: str) -> str:
    return kubectl(admin, "get", "namespaces", "-l", "netprobe.dev/run", "-o", "name")


def nothing_left(admin: str, suite: Path) -> None:
    name = re.search(r"rbac-suite-\w+", suite.read_text())
    assert name is not None
    assert name[0] not in namespaces(admin)


@pytest.mark.parametrize("files", [["fixture.yaml"], ["fixture.yaml", "guard.yaml"]], ids="+".join)
def test_a_run_as_exactly_that_account(
    kubeconfig: str, suite: Path, tmp_path: Path, files: list[str]
) -> None:
    with account(kubeconfig, published(*files), tmp_path) as user:
        ended = netprobe("run", suite, "--kubeconfig", user.kubeconfig, "-o", "json")
        assert ended.status == 0, ended.err
        assert ended.report["cluster"]["nodes"]
        assert {row["observed"] for row in ended.report["flows"]} == {"allow", "deny"}
        cleaned = netprobe("clean", "--kubeconfig", user.kubeconfig, "--run", "00000000")
        assert cleaned.status == 0, cleaned.err
        assert "may not list Job" in cleaned.err
    nothing_left(kubeconfig, suite)


@pytest.mark.parametrize("permission", NEEDED, ids=str)
def test_without_one_verb_a_run_names_it_and_makes_nothing(
    kubeconfig: str, suite: Path, tmp_path: Path, permission: Permission
) -> None:
    roles = without(published("fixture.yaml"), permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        before = versions(kubeconfig, user)
        ended = netprobe("run", suite, "--kubeconfig", user.kubeconfig)
        assert ended.status == 3, ended.out
        assert lacks(permission) in ended.err
        assert versions(kubeconfig, user) == before
    nothing_left(kubeconfig, suite)


def versions(admin: str, user: Account) -> str:
    """What the account has in its namespace: unchanged where it made nothing."""
    return kubectl(admin, "-n", user.namespace, "get", "pods,leases,networkpolicies", "-o", "name")


@pytest.mark.parametrize("permission", OPTIONAL, ids=str)
def test_without_optional_permissions_a_run_continues(
    kubeconfig: str, suite: Path, tmp_path: Path, permission: Permission
) -> None:
    roles = without(published("fixture.yaml"), permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        ended = netprobe("run", suite, "--kubeconfig", user.kubeconfig, "-o", "json")
        assert ended.status == 0, ended.err
        assert (ended.report["cluster"]["nodes"] is None) == (permission.resource == "nodes")


def granted(documents: list[Object]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for doc in documents
        for rule in doc.get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def triples(permissions: tuple[Permission, ...]) -> set[tuple[str, str, str]]:
    return {(p.group, p.resource, p.verb) for p in permissions}


def test_the_roles_are_the_lists() -> None:
    assert granted(published("fixture.yaml")) == triples(FIXTURE)
    both = granted(published("fixture.yaml", "in-place.yaml"))
    assert both >= triples(IN_PLACE)
    assert granted(published("in-place.yaml")) <= triples((*IN_PLACE, COPY_ACCOUNTS)), (
        "nothing that no run needs"
    )


def test_no_verb_is_requested_without_need(
    kubeconfig: str, suite: Path, tmp_path: Path, requests: set[Request]
) -> None:
    """A run with steps, one that meets another run, and one whose image is not there use all of the list."""
    assert main(["run", str(suite), "--kubeconfig", kubeconfig, "-o", "json"]) == 0
    name = re.search(r"rbac-suite-\w+", suite.read_text())
    assert name is not None
    taken = {"metadata": {"name": name[0], "labels": {"netprobe.dev/run": "00000000"}}}
    other = json.dumps({"apiVersion": "v1", "kind": "Namespace", **taken})
    kubectl(kubeconfig, "apply", "-f", "-", stdin=other)
    try:
        assert main(["run", str(suite), "--kubeconfig", kubeconfig]) == 3
    finally:
        kubectl(kubeconfig, "delete", "namespace", name[0])
    image = "registry.invalid/alpine:3.20"
    assert (
        main(["run", str(suite), "--kubeconfig", kubeconfig, "--image", image, "--ready-timeout", "3s"]) == 3
    )
    unseen = {("", "pods/exec", "create")}  # asked for by Kubernetes 1.35 and later, of the same request
    assert requests == triples(FIXTURE) - unseen


@pytest.fixture
def workloads(kubeconfig: str) -> Iterator[str]:
    """A namespace with two pods that somebody else runs."""
    name = f"rbac-work-{secrets.token_hex(3)}"
    container = {
        "name": "c",
        "image": "docker.io/library/alpine:3.20",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "nc -lk -p 5432 -e true"],
        "ports": [{"containerPort": 5432}],
        "readinessProbe": {"tcpSocket": {"port": 5432}},
    }
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": app, "namespace": name, "labels": {"app": app}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
        }
        for app in ("web", "db")
    ]
    kubectl(kubeconfig, "create", "namespace", name)
    try:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})
        kubectl(kubeconfig, "apply", "-f", "-", stdin=text)
        kubectl(kubeconfig, "-n", name, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
        yield name
    finally:
        kubectl(kubeconfig, "delete", "namespace", name, "--wait=false")


def test_in_place_no_verb_is_too_few_and_none_too_many(
    kubeconfig: str, workloads: str, tmp_path: Path, requests: set[Request]
) -> None:
    suite = tmp_path / "in-place.yaml"
    suite.write_text(permitted.in_place_suite(workloads))
    with account(kubeconfig, published("fixture.yaml", "in-place.yaml"), tmp_path) as user:
        assert main(["run", str(suite), "--in-place", "--kubeconfig", str(user.kubeconfig)]) == 0
    only_when_it_goes_wrong = {
        ("", "namespaces", "get"),
        ("coordination.k8s.io", "leases", "get"),
        ("", "events", "list"),
        ("", "pods/exec", "create"),  # Kubernetes 1.35 and later
    }
    allowed_to_fail = {(kind.group, kind.plural, "list") for kind in NOT_SIMULATED}
    assert requests - allowed_to_fail == triples(IN_PLACE) - only_when_it_goes_wrong


def as_account(user: Account, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", "--kubeconfig", str(user.kubeconfig), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_guard_keeps_the_account_out_of_the_namespaces_of_others(kubeconfig: str, tmp_path: Path) -> None:
    other = f"rbac-other-{secrets.token_hex(3)}"
    kubectl(kubeconfig, "create", "namespace", other)
    pod = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": other},
            "spec": {"containers": [{"name": "c", "image": "docker.io/library/alpine:3.20"}]},
        }
    )
    tries = {
        "a pod": (["create", "-f", "-"], pod),
        "all pods": (["delete", "--raw", f"/api/v1/namespaces/{other}/pods"], None),
        "the namespace": (["delete", "namespace", other], None),
        "its label": (["label", "namespace", other, "netprobe.dev/run=00000000"], None),
        "a namespace without the label": (["create", "namespace", f"{other}-more"], None),
    }
    try:
        with account(kubeconfig, published("fixture.yaml", "guard.yaml"), tmp_path) as user:
            until_guarded(kubeconfig, user)
            kubectl(kubeconfig, "apply", "-f", "-", stdin=pod)
            done = {what: as_account(user, *command, stdin=text) for what, (command, text) in tries.items()}
            others = {w: d.stderr for w, d in done.items() if "own label, netprobe.dev/run" not in d.stderr}
            assert not others
            assert all(d.returncode for d in done.values())
    finally:
        kubectl(kubeconfig, "delete", "namespace", other, "--wait=false")


def until_guarded(admin: str, user: Account) -> None:
    """A new admission policy is in force after a moment."""
    for _ in range(100):
        done = as_account(user, "create", "namespace", f"{user.namespace}-try", "--dry-run=server")
        if "own label" in done.stderr:
            return
    raise AssertionError("the admission policy never came into force")
