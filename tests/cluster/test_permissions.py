"""manifests/rbac/ on a real cluster: what each command requests, no verb too few and none too many."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml

from netprobe.policies.kinds import NOT_SIMULATED
from netprobe.probe.permission import (
    CONFORMANCE,
    DEBUG,
    FIXTURE,
    IN_PLACE,
    READ_POLICIES,
    Need,
    Permission,
)
from tests.cluster.account import Account, account, published, without
from tests.run.netprobe import EXAMPLES, Ended, kubectl, netprobe
from tests.run.requests import Request, requests

__all__ = ["requests"]  # a fixture

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: rbac}
topology:
  namespaces:
    - name: NAME-own
      pods:
        - {name: web, labels: {app: web}, ports: [80]}
        - {name: db, labels: {app: db}, ports: [5432]}
policies: [policy.yaml]
expect:
  default: deny
  flows:
    - {from: NAME-own/web, to: NAME-own/db, port: 5432, verdict: allow}
steps:
  - name: the label that admits is taken away
    do:
      - label: {pod: NAME-own/web, set: {app: other}}
      - label: {namespace: NAME-own, set: {seen: "yes"}}
    expect: {default: deny}
  - name: the policy goes
    do:
      - delete: {networkpolicy: NAME-own/only-web}
    expect: {default: allow}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-web, namespace: NAME-own}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 5432}]
"""
IN_PLACE_SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: rbac-in-place}
expect:
  flows:
    - {from: NAME/web, to: NAME/db, port: 5432, verdict: allow}
"""


def suite_with_steps(folder: Path, name: str = "rbac") -> Path:
    """A suite that needs all of fixture.yaml; its namespace is NAME-own."""
    for file, text in (("policy.yaml", POLICY), ("suite.yaml", SUITE)):
        (folder / file).write_text(text.replace("NAME", name))
    return folder / "suite.yaml"


@dataclass(frozen=True)
class Published:
    """A command and the files that have the account for it. NAME is a namespace with pods in `arguments`."""

    files: tuple[str, ...]
    permissions: tuple[Permission, ...]
    arguments: tuple[str, ...]


CASE = "a podSelector admits pods of the policy's own namespace"
COMMANDS = {
    "run": Published(("fixture.yaml",), FIXTURE, ("run", "suite.yaml")),
    "in place": Published(
        ("fixture.yaml", "in-place.yaml"), IN_PLACE, ("run", "in-place.yaml", "--in-place")
    ),
    "debug": Published(("debug.yaml",), DEBUG, ("debug", "NAME/web", "NAME/db")),
    "conformance": Published(("../nightly/rbac.yaml",), CONFORMANCE, ("conformance", "--only", CASE)),
}
ONE_LESS = [
    pytest.param(name, permission, id=f"{name}: {permission}")
    for name, command in COMMANDS.items()
    for permission in command.permissions
    if permission.need is not Need.OPTIONAL and (permission.need is Need.ALWAYS or name == "run")
]
WHEN_IT_GOES_WRONG = {
    ("", "namespaces", "get"),
    ("coordination.k8s.io", "leases", "get"),
    ("", "events", "list"),
}
SINCE_1_35 = {("", "pods/exec", "create")}
MAY_FAIL = {(p.group, p.resource, p.verb) for p in READ_POLICIES} | {
    (group, kind.plural, "list") for kind in NOT_SIMULATED for group in kind.groups
}


@pytest.fixture(scope="module")
def workloads(kubeconfig: str) -> Iterator[str]:
    """A namespace with two pods that somebody else runs."""
    name = f"rbac-{secrets.token_hex(3)}"
    container = {
        "name": "c",
        "image": "docker.io/library/alpine:3.20",
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


Run: TypeAlias = Callable[..., Ended]


@pytest.fixture
def run(workloads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one of `COMMANDS` with a kubeconfig, in this process."""
    suite_with_steps(tmp_path, workloads)
    (tmp_path / "in-place.yaml").write_text(IN_PLACE_SUITE.replace("NAME", workloads))
    monkeypatch.chdir(tmp_path)

    def run(name: str, kubeconfig: str | Path, *more: str) -> Ended:
        words = [word.replace("NAME", workloads) for word in COMMANDS[name].arguments]
        return netprobe(*words, *more, "--kubeconfig", kubeconfig)

    return run


def granted(*files: str) -> set[Request]:
    return {
        (group, resource, verb)
        for doc in published(*files)
        for rule in doc.get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def triples(permissions: tuple[Permission, ...]) -> set[Request]:
    return {(p.group, p.resource, p.verb) for p in permissions}


@pytest.mark.parametrize("name", ["run", "in place", "debug"])
def test_no_verb_is_too_few_and_none_too_many(
    kubeconfig: str, tmp_path: Path, run: Run, requests: set[Request], name: str
) -> None:
    with account(kubeconfig, published(*COMMANDS[name].files), tmp_path) as user:
        ended = run(name, user.kubeconfig)
    assert ended.status == 0, ended.err or ended.out
    optional = MAY_FAIL | WHEN_IT_GOES_WRONG | SINCE_1_35
    assert requests - optional == triples(COMMANDS[name].permissions) - optional


def test_some_verbs_are_for_what_goes_wrong(
    kubeconfig: str, workloads: str, run: Run, requests: set[Request]
) -> None:
    """A run that meets the namespace of another, and one whose image no node can pull."""
    meta = {"name": f"{workloads}-own", "labels": {"netprobe.dev/run": "00000000"}}
    other = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    kubectl(kubeconfig, "apply", "-f", "-", stdin=other)
    try:
        assert run("run", kubeconfig).status == 3
    finally:
        kubectl(kubeconfig, "delete", "namespace", f"{workloads}-own")
    image = "registry.invalid/alpine:3.20"
    ended = run("run", kubeconfig, "--image", image, "--ready-timeout", "3s")
    assert ended.status == 3
    assert image in ended.err
    assert requests >= WHEN_IT_GOES_WRONG


@pytest.mark.parametrize(("name", "permission"), ONE_LESS)
def test_without_one_verb_it_is_named_and_nothing_is_created(
    kubeconfig: str, tmp_path: Path, run: Run, requests: set[Request], *, name: str, permission: Permission
) -> None:
    files = published(*COMMANDS[name].files)
    roles = without(files, permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        ended = run(name, user.kubeconfig)
    assert ended.status == 3, ended.out
    text = ended.out + ended.err
    if name == "debug" and permission.verb == "list":  # the answer says what it could not read
        assert permission.resource in text
    else:
        lack = "lack 1 of the permissions that the run needs in the whole cluster"
        assert f"{lack}: {permission} (" in text
        assert "Nothing was created" in text
        assert {verb for _, _, verb in requests} <= {"get", "list", "watch"}


@pytest.mark.parametrize("permission", [p for p in FIXTURE if p.need is Need.OPTIONAL], ids=str)
def test_without_optional_permissions_a_run_continues(
    kubeconfig: str, tmp_path: Path, run: Run, permission: Permission
) -> None:
    roles = without(published("fixture.yaml"), permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        ended = run("run", user.kubeconfig, "-o", "json")
    assert ended.status == 0, ended.err
    assert (ended.report["cluster"]["nodes"] is None) == (permission.resource == "nodes")


def test_debug_reads_with_lists_alone(kubeconfig: str, tmp_path: Path, run: Run) -> None:
    roles = published("debug.yaml")
    for permission in DEBUG:
        if permission.verb != "list" and permission.need is Need.ALWAYS:
            roles = without(roles, permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        ended = run("debug", user.kubeconfig, "--no-probe")
    assert ended.status == 3, ended.err
    assert "allowed: egress is not isolated" in ended.out


@pytest.mark.parametrize("name", ["run", "conformance"])
def test_an_account_with_a_guard(kubeconfig: str, tmp_path: Path, run: Run, name: str) -> None:
    with account(kubeconfig, published(*COMMANDS[name].files, "guard.yaml"), tmp_path) as user:
        until_guarded(user)
        ended = run(name, user.kubeconfig)
        cleaned = netprobe("clean", "--kubeconfig", user.kubeconfig, "--run", "00000000")
    assert ended.status == 0, ended.out + ended.err
    assert cleaned.status == 0, cleaned.err
    assert "may not list" in cleaned.err


@pytest.mark.parametrize("example", ["platform-guardrails", "calico-tiers"])
def test_an_account_for_policies_of_other_kinds(kubeconfig: str, tmp_path: Path, example: str) -> None:
    kind = {"platform-guardrails": "clusternetworkpolicies.", "calico-tiers": "globalnetworkpolicies."}
    if kind[example] not in kubectl(kubeconfig, "api-resources", "-o", "name"):
        pytest.skip("this cluster does not serve that kind of policy")
    roles = published("fixture.yaml", "policy-kinds.yaml", "guard.yaml")
    with account(kubeconfig, roles, tmp_path) as user:
        until_guarded(user)
        ended = netprobe("run", EXAMPLES / example / "suite.yaml", "--kubeconfig", user.kubeconfig)
    assert ended.status == 0, ended.out + ended.err


def as_account(user: Account, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", "--kubeconfig", str(user.kubeconfig), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def until_guarded(user: Account) -> None:
    """A new admission policy is in force after a moment."""
    end = time.monotonic() + 60
    attempt = ("create", "namespace", f"{user.namespace}-try", "--dry-run=server")
    while "own label" not in as_account(user, *attempt).stderr:
        assert time.monotonic() < end, "the admission policy never came into force"


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
    tries: dict[str, tuple[list[str], str | None]] = {
        "a pod": (["create", "-f", "-"], pod),
        "all pods": (["delete", "--raw", f"/api/v1/namespaces/{other}/pods"], None),
        "the namespace": (["delete", "namespace", other], None),
        "its label": (["label", "namespace", other, "netprobe.dev/run=00000000"], None),
        "a namespace without the label": (["create", "namespace", f"{other}-more"], None),
    }
    try:
        with account(kubeconfig, published("fixture.yaml", "guard.yaml"), tmp_path) as user:
            until_guarded(user)
            kubectl(kubeconfig, "apply", "-f", "-", stdin=pod)
            done = {what: as_account(user, *command, stdin=text) for what, (command, text) in tries.items()}
        assert all(ended.returncode for ended in done.values())
        assert {w: d.stderr for w, d in done.items() if "own label, netprobe.dev/run" not in d.stderr} == {}
    finally:
        kubectl(kubeconfig, "delete", "namespace", other, "--wait=false")
