"""Who may do what, on the lab and on a real cluster: refusals, reviews, tokens, impersonation, by kubectl."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.kubectl.conftest import Kubectl


@pytest.fixture(scope="module")
def robot(kubectl: Kubectl) -> tuple[Kubectl, str]:
    """A ServiceAccount that may read pods of its namespace, and its name as a user."""
    space = kubectl.namespace
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "role", "read", "--verb=get,list", "--resource=pods,pods/log")
    kubectl("create", "rolebinding", "read", "--role=read", f"--serviceaccount={space}:robot")
    user = f"system:serviceaccount:{space}:robot"
    kubectl("wait", "--for=create", "rolebinding/read", "--timeout=60s")
    for _ in range(100):  # a real server looks into its cache of roles, which follows
        if kubectl.run("auth", "can-i", "list", "pods", f"--as={user}").returncode == 0:
            break
    else:
        raise AssertionError("the role never came into force")
    return kubectl, user


def test_refusals(robot: tuple[Kubectl, str]) -> None:
    kubectl, user = robot
    begins = "Error from server (Forbidden): "
    space = f'in API group "" in the namespace "{kubectl.namespace}"'
    assert kubectl("get", "pods", "-o", "name", f"--as={user}") == "pod/p\n"
    said = kubectl.fails("get", "configmaps", f"--as={user}")
    assert (
        said == f'{begins}configmaps is forbidden: User "{user}" cannot list resource "configmaps" {space}\n'
    )
    said = kubectl.fails("delete", "pod", "p", f"--as={user}")
    assert said == f'{begins}pods "p" is forbidden: User "{user}" cannot delete resource "pods" {space}\n'
    said = kubectl.fails("get", "nodes", f"--as={user}")
    where = 'in API group "" at the cluster scope'
    assert said == f'{begins}nodes is forbidden: User "{user}" cannot list resource "nodes" {where}\n'
    said = kubectl.fails("get", "--raw", "/metrics", f"--as={user}")
    assert f'forbidden: User "{user}" cannot get path "/metrics"' in said


def test_questions(robot: tuple[Kubectl, str]) -> None:
    kubectl, user = robot

    def can(*words: str) -> str:
        return kubectl.run("auth", "can-i", *words, f"--as={user}").stdout

    assert can("list", "pods") == "yes\n"
    assert can("watch", "pods") == "no\n"
    assert can("get", "pods/log") == "yes\n"
    assert can("get", "pods", "--subresource=exec") == "no\n"
    assert can("get", "/healthz") == "yes\n"
    assert can("list", "pods", "-A") == "no\n"
    listed = [line.split() for line in can("--list").splitlines()]
    assert ["pods", "[]", "[]", "[get", "list]"] in listed
    assert ["[/healthz]", "[]", "[get]"] in listed
    assert "Username" in kubectl("auth", "whoami", f"--as={user}")
    assert user in kubectl("auth", "whoami", f"--as={user}")
    assert "system:serviceaccounts" in kubectl("auth", "whoami", f"--as={user}")
    assert "[ops system:authenticated]" in kubectl("auth", "whoami", "--as=alice", "--as-group=ops")


def test_a_token(robot: tuple[Kubectl, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    kubectl, user = robot
    token = kubectl("create", "token", "robot", "--duration=10m").strip()
    view = kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    path = tmp_path_factory.mktemp("token") / "config"
    path.write_text(view)
    path.chmod(0o600)
    account = replace(kubectl, kubeconfig=path)
    account("config", "set-credentials", "robot", f"--token={token}")
    account("config", "set-context", "--current", "--user=robot")
    assert user in account("auth", "whoami")
    assert account("get", "pods", "-o", "name") == "pod/p\n"
    assert "cannot list resource" in account.fails("get", "secrets")
    said = account.fails("get", "pods", "--as=alice")
    assert f'users "alice" is forbidden: User "{user}" cannot impersonate resource "users"' in said
    said = kubectl.fails("create", "token", "robot", "--duration=1m")
    assert "may not specify a duration less than 10 minutes" in said
    assert 'serviceaccounts "nobody" not found' in kubectl.fails("create", "token", "nobody")


def test_roles_are_not_given_away(robot: tuple[Kubectl, str]) -> None:
    kubectl, _ = robot
    space = kubectl.namespace
    kubectl("create", "rolebinding", "maker", "--clusterrole=admin", "--user=maker")
    for _ in range(100):
        if kubectl.run("auth", "can-i", "create", "roles", "--as=maker").returncode == 0:
            break
    else:
        raise AssertionError("the role never came into force")
    kubectl("create", "role", "less", "--verb=get", "--resource=pods", "--as=maker")
    said = kubectl.fails("create", "role", "more", "--verb=get", "--resource=nodes", "--as=maker")
    assert said == (
        'Error from server (Forbidden): roles.rbac.authorization.k8s.io "more" is forbidden: user "maker" '
        '(groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}\n'
    )
    kubectl("create", "rolebinding", "less", "--role=less", f"--serviceaccount={space}:robot", "--as=maker")
    said = kubectl.fails(
        "create", "rolebinding", "all", "--clusterrole=cluster-admin", "--user=maker", "--as=maker"
    )
    assert "is attempting to grant RBAC permissions not currently held:" in said
