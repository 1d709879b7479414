"""Roles decide: what a rule covers, whose a token is, who may speak for whom, and who may give what away."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from netprobe.lab.api.access.attributes import Attributes, of_request
from netprobe.lab.api.access.rbac import allows
from tests.lab.api.clock import SetClock
from tests.lab.api.conftest import Api, running

param = pytest.param

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/shop/pods"
ROBOT = "system:serviceaccount:shop:robot"
GROUP = "rbac.authorization.k8s.io"

READ_PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
EXEC = {"verbs": ["*"], "apiGroups": [""], "resources": ["pods/exec"]}
STATUS = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["*/status"]}
ALL = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
ONE = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"]}
PATHS = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/apis/*"]}

RULES = [
    param(READ_PODS, Attributes("get", "", "pods"), True, id="verb, group and resource"),
    param(READ_PODS, Attributes("watch", "", "pods"), False, id="another verb"),
    param(READ_PODS, Attributes("get", "apps", "pods"), False, id="another group"),
    param(READ_PODS, Attributes("get", "", "services"), False, id="another resource"),
    param(READ_PODS, Attributes("get", "", "pods", "log"), False, id="a resource is not its subresources"),
    param(EXEC, Attributes("create", "", "pods", "exec"), True, id="a subresource by name"),
    param(EXEC, Attributes("create", "", "pods"), False, id="a subresource is not its resource"),
    param(STATUS, Attributes("get", "apps", "deployments", "status"), True, id="a subresource of all"),
    param(STATUS, Attributes("get", "apps", "deployments", "scale"), False, id="not another one of all"),
    param(ALL, Attributes("x", "y", "z", "w", "v"), True, id="stars"),
    param(ALL, Attributes("get", path="/healthz"), False, id="stars of resources are no paths"),
    param(ONE, Attributes("get", "", "secrets", name="b"), True, id="a name"),
    param(ONE, Attributes("get", "", "secrets", name="c"), False, id="another name"),
    param(ONE, Attributes("get", "", "secrets"), False, id="no name"),
    param(PATHS, Attributes("get", path="/healthz"), True, id="a path"),
    param(PATHS, Attributes("get", path="/healthz/etcd"), False, id="a longer path"),
    param(PATHS, Attributes("get", path="/apis/apps"), True, id="a path below"),
    param(PATHS, Attributes("post", path="/apis/apps"), False, id="another method"),
]


@pytest.mark.parametrize(("rule", "asked", "allowed"), RULES)
def test_what_a_rule_covers(rule: dict[str, Any], asked: Attributes, allowed: bool) -> None:
    assert allows(rule, asked) is allowed


REQUESTS = [
    param("GET", "/api/v1/pods", {}, Attributes("list", "", "pods")),
    param("GET", "/api/v1/pods", {"watch": "true"}, Attributes("watch", "", "pods")),
    param("GET", f"{PODS}/p", {}, Attributes("get", "", "pods", "", "p", "shop")),
    param("POST", f"{PODS}/p/exec", {}, Attributes("create", "", "pods", "exec", "p", "shop")),
    param("DELETE", PODS, {}, Attributes("deletecollection", "", "pods", "", "", "shop")),
    param("DELETE", f"{PODS}/p", {}, Attributes("delete", "", "pods", "", "p", "shop")),
    param("PATCH", "/apis/apps/v1/namespaces/n/deployments/d/scale", {},
          Attributes("patch", "apps", "deployments", "scale", "d", "n")),
    param("GET", "/api/v1/namespaces/n", {}, Attributes("get", "", "namespaces", "", "n", "n")),
    param("PUT", "/api/v1/namespaces/n/finalize", {},
          Attributes("update", "", "namespaces", "finalize", "n", "n")),
    param("GET", PODS, {"fieldSelector": "status.phase=Running,metadata.name=p", "watch": "1"},
          Attributes("watch", "", "pods", "", "p", "shop")),
    param("GET", "/apis/example.org/v1/things/t", {}, Attributes("get", "example.org", "things", "", "t")),
    param("GET", "/apis/apps/v1", {}, Attributes("get", path="/apis/apps/v1")),
    param("GET", "/api/v1", {}, Attributes("get", path="/api/v1")),
    param("POST", "/netprobe/rules", {}, Attributes("post", path="/netprobe/rules")),
    param("GET", "/", {}, Attributes("get", path="/")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "query", "asked"), REQUESTS)
def test_what_a_request_asks_for(method: str, path: str, query: dict[str, str], asked: Attributes) -> None:
    assert of_request(method, path, query) == asked


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def api(tmp_path: Path, clock: SetClock) -> AsyncIterator[Api]:
    """With a namespace and a ServiceAccount in it."""
    async with running(tmp_path, clock=clock) as started:
        await started.namespace("shop")
        await account(started, "robot")
        yield started


async def account(api: Api, name: str) -> None:
    await api.ok("POST", "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": name}})


async def token(api: Api, name: str = "robot", **spec: Any) -> str:
    path = f"/api/v1/namespaces/shop/serviceaccounts/{name}/token"
    answer = await api.ok("POST", path, {"spec": spec})
    text: str = answer["status"]["token"]
    return text


async def grant(api: Api, *rules: dict[str, Any], name: str = "r", namespace: str = "", **role: Any) -> None:
    """A role, and a binding of the robot to it: of a namespace where one is given."""
    kind, place = ("Role", f"/namespaces/{namespace}") if namespace else ("ClusterRole", "")
    plural = f"{kind.lower()}s"
    await api.ok("POST", f"{RBAC}{place}/{plural}", {"metadata": {"name": name}, "rules": rules, **role})
    await bind(api, kind, name, namespace)


async def bind(api: Api, kind: str, role: str, namespace: str = "") -> None:
    plural = "rolebindings" if namespace else "clusterrolebindings"
    place = f"/namespaces/{namespace}" if namespace else ""
    body = {
        "metadata": {"name": role},
        "roleRef": {"kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}],
    }
    await api.ok("POST", f"{RBAC}{place}/{plural}", body)


async def refusal(api: Api, method: str, path: str, body: Any = None) -> str:
    answer = await api.fails(method, path, body)
    assert (answer["code"], answer["reason"]) == (403, "Forbidden"), answer
    message: str = answer["message"]
    return message


async def test_whoever_has_no_role_is_told_what_he_lacks(api: Api) -> None:
    robot = api.bearing(await token(api))
    cannot = f'User "{ROBOT}" cannot'
    said = await robot.fails("GET", PODS)
    inside = 'in API group "" in the namespace "shop"'
    assert said["message"] == f'pods is forbidden: {cannot} list resource "pods" {inside}'
    assert said["details"] == {"kind": "pods"}
    assert await refusal(robot, "GET", f"{PODS}/p") == (
        f'pods "p" is forbidden: {cannot} get resource "pods" {inside}'
    )
    assert await refusal(robot, "GET", f"{PODS}/p/log") == (
        f'pods "p" is forbidden: {cannot} get resource "pods/log" {inside}'
    )
    assert await refusal(robot, "POST", "/apis/apps/v1/deployments", {}) == (
        f'deployments.apps is forbidden: {cannot} create resource "deployments" in API group "apps" '
        "at the cluster scope"
    )
    said = await robot.fails("GET", "/apis/example.org/v1/things/t")
    assert said["message"].startswith('things.example.org "t" is forbidden: ')
    assert said["details"] == {"name": "t", "group": "example.org", "kind": "things"}
    assert await refusal(robot, "GET", "/netprobe/rules") == f'forbidden: {cannot} get path "/netprobe/rules"'


async def test_what_everybody_may(api: Api) -> None:
    robot = api.bearing(await token(api))
    for path in ("/apis", "/api/v1", "/openapi/v3", "/version"):
        await robot.get(path)
    review = await robot.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    info = review["status"]["userInfo"]
    assert info["username"] == ROBOT
    assert info["groups"] == ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]


async def test_a_role_holds_in_its_namespace(api: Api) -> None:
    robot = api.bearing(await token(api))
    await grant(api, READ_PODS, namespace="shop")
    assert (await robot.get(PODS))["items"] == []
    await refusal(robot, "GET", "/api/v1/namespaces/default/pods")
    await refusal(robot, "GET", "/api/v1/pods")
    await refusal(robot, "POST", PODS, {"metadata": {"name": "p"}})
    await api.ok("DELETE", f"{RBAC}/namespaces/shop/rolebindings/r")
    await refusal(robot, "GET", PODS)


async def test_a_cluster_role_holds_where_it_is_bound(api: Api) -> None:
    robot = api.bearing(await token(api))
    await api.ok("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": [READ_PODS]})
    await bind(api, "ClusterRole", "r", "shop")
    await robot.get(PODS)
    await refusal(robot, "GET", "/api/v1/pods")
    await bind(api, "ClusterRole", "r")
    await robot.get("/api/v1/pods")


async def test_a_binding_without_its_role(api: Api) -> None:
    robot = api.bearing(await token(api))
    await bind(api, "ClusterRole", "nobody", "shop")
    assert (await refusal(robot, "GET", PODS)).endswith(
        'in the namespace "shop": RBAC: clusterrole.rbac.authorization.k8s.io "nobody" not found'
    )


async def test_a_watch_and_a_list_of_one_name(api: Api) -> None:
    robot = api.bearing(await token(api))
    rule = {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["p"]}
    await grant(api, rule, namespace="shop")
    await refusal(robot, "GET", PODS)
    assert (await robot.get(PODS, fieldSelector="metadata.name=p"))["items"] == []


async def test_applying_what_is_not_there_is_creating(api: Api) -> None:
    robot = api.bearing(await token(api))
    rule = {"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]}
    await grant(api, rule, namespace="shop")
    path = "/api/v1/namespaces/shop/configmaps/m"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}
    kind = "application/apply-patch+yaml"
    status, said = await robot.ask("PATCH", path, body, kind=kind, fieldManager="x")
    assert status == 403
    assert 'cannot create resource "configmaps"' in said["message"]
    await api.ask("PATCH", path, body, kind=kind, fieldManager="x")
    assert (await robot.ask("PATCH", path, body, kind=kind, fieldManager="x"))[0] == 200


async def test_a_token_holds_for_its_time(api: Api, clock: SetClock) -> None:
    robot = api.bearing(await token(api, expirationSeconds=600))
    await robot.get("/version")
    clock.pass_by(seconds=599)
    await robot.get("/version")
    clock.pass_by(seconds=1)
    assert (await robot.fails("GET", "/version"))["code"] == 401


async def test_a_token_says_how_long(api: Api, clock: SetClock) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/robot/token"
    answer = await api.ok("POST", path, {"spec": {}})
    assert answer["status"]["expirationTimestamp"] == "2026-03-01T13:00:00Z"
    said = await api.fails("POST", path, {"spec": {"expirationSeconds": 60}})
    assert said["code"] == 422
    assert said["message"] == (
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: '
        "may not specify a duration less than 10 minutes"
    )
    assert (await api.fails("POST", path.replace("robot", "nobody"), {"spec": {}}))["code"] == 404


async def test_a_token_ends_with_its_account(api: Api) -> None:
    robot = api.bearing(await token(api))
    await api.ok("DELETE", "/api/v1/namespaces/shop/serviceaccounts/robot")
    assert (await robot.fails("GET", "/version"))["code"] == 401
    await account(api, "robot")
    assert (await robot.fails("GET", "/version"))["code"] == 401, "another account of the same name"


async def test_a_token_ends_with_what_it_is_bound_to(api: Api) -> None:
    await api.ok("POST", "/api/v1/namespaces/shop/secrets", {"metadata": {"name": "s"}})
    robot = api.bearing(await token(api, boundObjectRef={"kind": "Secret", "name": "s"}))
    await robot.get("/version")
    await api.ok("DELETE", "/api/v1/namespaces/shop/secrets/s")
    assert (await robot.fails("GET", "/version"))["code"] == 401


async def test_a_secret_with_a_token(api: Api, clock: SetClock) -> None:
    kept = "/api/v1/namespaces/shop/secrets"
    named = {"name": "kept", "annotations": {"kubernetes.io/service-account.name": "robot"}}
    body = {"metadata": named, "type": "kubernetes.io/service-account-token"}
    await api.ok("POST", kept, body)
    secret = await api.until(f"{kept}/kept", lambda secret: secret.get("data"))
    assert set(secret["data"]) == {"ca.crt", "namespace", "token"}
    robot = api.bearing(base64.b64decode(secret["data"]["token"]).decode())
    clock.pass_by(days=1000)
    await robot.get("/version")
    await api.ok("DELETE", f"{kept}/kept")
    assert (await robot.fails("GET", "/version"))["code"] == 401
    await api.ok("POST", kept, body)
    await api.ok("DELETE", "/api/v1/namespaces/shop/serviceaccounts/robot")
    await api.gone(f"{kept}/kept")
    said = await api.fails("POST", kept, {**body, "metadata": {"name": "nobody"}})
    assert "metadata.annotations[kubernetes.io/service-account.name]: Required value" in said["message"]


async def test_what_is_no_token_of_this_lab(api: Api) -> None:
    good = await token(api)
    head, claims, signature = good.split(".")
    for bad in ("", "x", f"{head}.{claims}.", f"{head}.{claims[:-2]}AA.{signature}", f"{good}x", "\xff.\xff"):
        assert (await api.bearing(bad).fails("GET", "/version"))["code"] == 401, bad
    elsewhere = await token(api, audiences=["https://vault.example"])
    assert (await api.bearing(elsewhere).fails("GET", "/version"))["code"] == 401
    review = {"spec": {"token": elsewhere}}
    reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
    assert "authenticated" not in (await api.ok("POST", reviews, review))["status"]
    status = (await api.ok("POST", reviews, {"spec": {"token": good}}))["status"]
    assert (status["authenticated"], status["user"]["username"]) == (True, ROBOT)


async def test_an_administrator_may_be_anybody(api: Api) -> None:
    who = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    info = (await api.acting_as("alice", "dev", "ops").ok("POST", who, {}))["status"]["userInfo"]
    assert info == {"username": "alice", "groups": ["dev", "ops", "system:authenticated"]}
    info = (await api.acting_as(ROBOT).ok("POST", who, {}))["status"]["userInfo"]
    assert "system:serviceaccounts:shop" in info["groups"]
    await refusal(api.acting_as("alice"), "GET", PODS)
    await api.acting_as("alice", "system:masters").get(PODS)


async def test_being_somebody_else_is_a_permission(api: Api) -> None:
    robot = api.bearing(await token(api))
    assert await refusal(robot.acting_as("alice"), "GET", PODS) == (
        f'users "alice" is forbidden: User "{ROBOT}" cannot impersonate resource "users" in API group "" '
        "at the cluster scope"
    )
    rule = {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["alice"]}
    await grant(api, rule)
    assert 'User "alice" cannot list' in await refusal(robot.acting_as("alice"), "GET", PODS)
    assert 'users "bob" is forbidden' in await refusal(robot.acting_as("bob"), "GET", PODS)
    masters = robot.acting_as("alice", "system:masters")
    assert 'groups "system:masters" is forbidden' in await refusal(masters, "GET", PODS)
    assert 'serviceaccounts "x" is forbidden' in await refusal(
        robot.acting_as("system:serviceaccount:shop:x"), "GET", PODS
    )


async def test_reviews_answer_as_requests_are_answered(api: Api) -> None:
    robot = api.bearing(await token(api))
    await grant(api, READ_PODS, namespace="shop")

    async def may(asker: Api, verb: str, namespace: str, **spec: Any) -> dict[str, Any]:
        kind = "subjectaccessreviews" if spec else "selfsubjectaccessreviews"
        asked = {"verb": verb, "resource": "pods", "namespace": namespace}
        body = {"spec": {"resourceAttributes": asked, **spec}}
        status: dict[str, Any] = (await asker.ok("POST", f"{REVIEWS}/{kind}", body))["status"]
        return status

    why = 'RBAC: allowed by RoleBinding "r/shop" of Role "r" to ServiceAccount "robot/shop"'
    assert await may(robot, "list", "shop") == {"allowed": True, "reason": why}
    assert await may(api, "list", "shop", user=ROBOT) == {"allowed": True, "reason": why}
    assert await may(robot, "list", "default") == {"allowed": False}
    assert await may(api, "list", "shop", user="alice") == {"allowed": False}
    assert (await may(api, "list", "shop", groups=["system:masters"]))["allowed"]
    await refusal(robot, "POST", f"{REVIEWS}/subjectaccessreviews", {"spec": {"user": ROBOT}})
    said = await api.fails("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": {}})
    assert "exactly one of nonResourceAttributes or resourceAttributes must be specified" in said["message"]


async def test_the_list_of_what_somebody_may(api: Api) -> None:
    robot = api.bearing(await token(api))
    await grant(api, READ_PODS, namespace="shop")
    body = {"spec": {"namespace": "shop"}}
    status = (await robot.ok("POST", f"{REVIEWS}/selfsubjectrulesreviews", body))["status"]
    assert READ_PODS in status["resourceRules"]
    assert any("/healthz" in rule["nonResourceURLs"] for rule in status["nonResourceRules"])
    body = {"spec": {"namespace": "default"}}
    status = (await robot.ok("POST", f"{REVIEWS}/selfsubjectrulesreviews", body))["status"]
    assert READ_PODS not in status["resourceRules"]


async def test_a_role_made_of_others(api: Api) -> None:
    robot = api.bearing(await token(api))
    selector = {"matchLabels": {"example.org/part": "yes"}}
    await grant(api, name="whole", aggregationRule={"clusterRoleSelectors": [selector]})
    await refusal(robot, "GET", PODS)
    part = {"metadata": {"name": "part", "labels": selector["matchLabels"]}, "rules": [READ_PODS]}
    await api.ok("POST", f"{RBAC}/clusterroles", part)
    await api.until(f"{RBAC}/clusterroles/whole", lambda role: role.get("rules") == [READ_PODS])
    await robot.get(PODS)
    await api.ok("DELETE", f"{RBAC}/clusterroles/part")
    await api.until(f"{RBAC}/clusterroles/whole", lambda role: not role.get("rules"))


async def test_the_roles_that_every_cluster_has(api: Api) -> None:
    robot = api.bearing(await token(api))

    def complete(role: Any) -> bool:
        return any("roles" in rule["resources"] for rule in role.get("rules") or ()) and any(
            "pods/log" in rule["resources"] for rule in role["rules"]
        )

    await api.until(f"{RBAC}/clusterroles/admin", complete)
    await bind(api, "ClusterRole", "view", "shop")
    await robot.get(PODS)
    await refusal(robot, "GET", "/api/v1/namespaces/shop/secrets")
    await bind(api, "ClusterRole", "edit", "shop")
    await robot.get("/api/v1/namespaces/shop/secrets")
    await robot.ok("POST", "/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "m"}})
    await refusal(robot, "GET", f"{RBAC}/namespaces/shop/roles")


async def test_nobody_gives_away_what_he_has_not(api: Api) -> None:
    robot = api.bearing(await token(api))
    manage = {"verbs": ["*"], "apiGroups": [GROUP], "resources": ["roles", "rolebindings"]}
    await grant(api, {**manage, "verbs": ["create", "update"]}, READ_PODS, namespace="shop")
    roles = f"{RBAC}/namespaces/shop/roles"
    await robot.ok("POST", roles, {"metadata": {"name": "less"}, "rules": [{**READ_PODS, "verbs": ["get"]}]})
    said = await refusal(robot, "POST", roles, {"metadata": {"name": "more"}, "rules": [EXEC]})
    assert said == (
        f'roles.{GROUP} "more" is forbidden: user "{ROBOT}" (groups='
        '["system:serviceaccounts" "system:serviceaccounts:shop" "system:authenticated"]) '
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods/exec"], Verbs:["*"]}'
    )
    own = await api.get(f"{roles}/r")
    said = await refusal(robot, "PUT", f"{roles}/r", {**own, "rules": [ALL]})
    assert "permissions not currently held" in said
    subject = {"kind": "User", "name": "alice"}
    binding = {
        "metadata": {"name": "b"},
        "subjects": [subject],
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
    }
    bindings = f"{RBAC}/namespaces/shop/rolebindings"
    assert "not currently held" in await refusal(robot, "POST", bindings, binding)
    mine = {**binding, "roleRef": {"kind": "Role", "name": "less"}}
    await robot.ok("POST", bindings, mine)
    may_bind = {**manage, "verbs": ["bind"], "resources": ["clusterroles"]}
    await grant(api, may_bind, name="binder")
    await robot.ok("POST", bindings, {**binding, "metadata": {"name": "c"}})


async def test_only_who_may_everything_makes_roles_of_roles_yet_to_come(api: Api) -> None:
    robot = api.bearing(await token(api))
    whole = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    body = {"metadata": {"name": "whole"}, "aggregationRule": whole}
    few = {"verbs": ["create"], "apiGroups": [GROUP], "resources": ["clusterroles"]}
    await grant(api, few, name="few")
    assert "must have cluster-admin privileges to use the aggregationRule" in await refusal(
        robot, "POST", f"{RBAC}/clusterroles", body
    )
    await grant(api, ALL, {"verbs": ["*"], "nonResourceURLs": ["*"]}, name="all")
    await robot.ok("POST", f"{RBAC}/clusterroles", body)


WRONG = [
    param({"rules": [{"verbs": []}]}, "roles", "rules[0].verbs: Required value", id="no verbs"),
    param({"rules": [{"verbs": ["get"], "apiGroups": [""]}]}, "roles", "rules[0].resources", id="no kind"),
    param({"rules": [PATHS]}, "roles", "rules[0].nonResourceURLs: Invalid value", id="paths in a namespace"),
    param({"roleRef": {"kind": "Pod", "name": "x"}}, "rolebindings", "roleRef.kind", id="no role"),
    param({"roleRef": {"kind": "Role", "name": "x"}, "subjects": [{"kind": "Robot", "name": "x"}]},
          "rolebindings", 'subjects[0].kind: Unsupported value: "Robot"', id="no subject"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "plural", "problem"), WRONG)
async def test_roles_that_are_refused(api: Api, body: Any, plural: str, problem: str) -> None:
    said = await api.fails("POST", f"{RBAC}/namespaces/shop/{plural}", {"metadata": {"name": "x"}, **body})
    assert said["code"] == 422
    assert problem in said["message"], json.dumps(said)


async def test_a_binding_stays_with_its_role(api: Api) -> None:
    await bind(api, "ClusterRole", "view", "shop")
    path = f"{RBAC}/namespaces/shop/rolebindings/view"
    binding = await api.get(path)
    said = await api.fails("PUT", path, {**binding, "roleRef": {**binding["roleRef"], "name": "edit"}})
    assert "roleRef: Invalid value" in said["message"]
    assert said["message"].endswith("cannot change roleRef")
