"""The API as clients see it: the lab and a real cluster give the same texts, codes and columns."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import islice
from typing import Any

import pytest

from tests.contract.conftest import IMAGE
from tests.lab.kubectl.conftest import Kubectl

POLICY: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "np"},
    "spec": {"podSelector": {"matchLabels": {"app": "p"}}},
}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap"}


def raw(kubectl: Kubectl, path: str) -> str:
    return kubectl("get", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/{path}")


def test_the_end_of_an_exec(kubectl: Kubectl) -> None:
    done = kubectl.run("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    assert kubectl.run("exec", "p", "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert kubectl("exec", "-i", "p", "--", "cat", stdin="in\n") == "in\n"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("no-such-program", 'exec: "no-such-program": executable file not found in $PATH'),
        ("/no/such/program", 'exec: "/no/such/program": stat /no/such/program: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_program_that_cannot_be_started(kubectl: Kubectl, program: str, reason: str) -> None:
    done = kubectl.run("exec", "p", "--", program)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Internal error occurred: ")
    assert "error executing command in container: failed to exec in container: " in done.stderr
    assert done.stderr.rstrip().endswith(reason)


def test_an_exec_that_is_refused(kubectl: Kubectl) -> None:
    assert kubectl.fails("exec", "p", "-c", "other", "--", "true") == (
        "Error from server (BadRequest): container other is not valid for pod p\n"
    )
    assert kubectl.fails("exec", "nobody", "--", "true") == (
        'Error from server (NotFound): pods "nobody" not found\n'
    )


def test_field_selectors(kubectl: Kubectl) -> None:
    node = kubectl.json("get", "pod", "p")["spec"]["nodeName"]
    for selector in (f"metadata.name=p,status.phase=Running,spec.nodeName={node}", "spec.nodeName!="):
        assert kubectl("get", "pods", "--field-selector", selector, "-o", "name") == "pod/p\n", selector
    for selector in ("metadata.name!=p", "metadata.name=p,status.phase=Pending"):
        assert kubectl("get", "pods", "--field-selector", selector, "-o", "name") == "", selector
    assert "field label not supported: spec.replicas" in kubectl.fails(
        "get", "pods", "--field-selector", "spec.replicas=1"
    )
    assert "BadRequest" in kubectl.fails("get", "configmaps", "--field-selector", "metadata.labels=x")


def test_every_kind_of_patch(kubectl: Kubectl) -> None:
    def patch(kind: str, change: Any) -> Any:
        text = json.dumps(change)
        done = kubectl("patch", "deployment", "none", f"--type={kind}", "-p", text, "-o", "json")
        return json.loads(done)["spec"]["template"]["spec"]["containers"]

    def template(*containers: Any) -> Any:
        return {"spec": {"template": {"spec": {"containers": containers}}}}

    joined = patch("strategic", template({"name": "b", "env": [{"name": "TWO", "value": "2"}]}))
    assert [(c["name"], c.get("env", [])) for c in joined] == [
        ("a", [{"name": "ONE", "value": "1"}]),
        ("b", [{"name": "TWO", "value": "2"}]),
    ]
    gone = patch("strategic", template({"name": "b", "$patch": "delete"}))
    assert [c["name"] for c in gone] == ["a"]
    replaced = patch("merge", template({"name": "z", "image": IMAGE}))
    assert [c["name"] for c in replaced] == ["z"]
    path = "/spec/template/spec/containers/0/name"
    assert [c["name"] for c in patch("json", [{"op": "replace", "path": path, "value": "y"}])] == ["y"]
    wrong = json.dumps([{"op": "test", "path": path, "value": "q"}])
    message = kubectl.fails("patch", "deployment", "none", "--type=json", "-p", wrong)
    assert "the server rejected our request due to an error in our request" in message or "test" in message


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"ingress": [{"ports": [{"port": 70000}]}]}, "must be between 1 and 65535, inclusive"),
    ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/99"}}]}]}, "spec.ingress[0].from[0].ipBlock"),
    ({"ingress": [{"from": [{}]}]}, "must specify a peer"),
    ({"policyTypes": ["Sideways"]}, 'supported values: "Ingress", "Egress"'),
]


def test_a_policy_that_is_refused(kubectl: Kubectl) -> None:
    for change, sentence in INVALID:
        policy = {**POLICY, "metadata": {"name": "bad"}, "spec": {**POLICY["spec"], **change}}
        message = kubectl.fails("create", "-f", "-", stdin=json.dumps(policy))
        assert message.startswith('The NetworkPolicy "bad" is invalid: ')
        assert sentence in message


def test_a_field_that_does_not_exist(kubectl: Kubectl) -> None:
    policy = {**POLICY, "metadata": {"name": "odd"}, "spec": {**POLICY["spec"], "ingres": []}}
    message = kubectl.fails("create", "-f", "-", stdin=json.dumps(policy))
    assert 'strict decoding error: unknown field "spec.ingres"' in message
    done = kubectl.run("create", "--validate=warn", "-f", "-", "--dry-run=server", stdin=json.dumps(policy))
    assert done.returncode == 0
    assert done.stderr == 'Warning: unknown field "spec.ingres"\n'
    assert "NotFound" in kubectl.fails("get", "networkpolicy", "odd")


def watched(kubectl: Kubectl, query: str, count: int, kind: str = "configmaps") -> list[Any]:
    """The first events of a watch; fewer if it ends earlier."""
    path = f"/api/v1/namespaces/{kubectl.namespace}/{kind}?watch=1&{query}"
    with subprocess.Popen(
        kubectl.command("get", "--raw", path), stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        try:
            return [json.loads(line) for line in islice(watching.stdout, count)]
        finally:
            watching.terminate()


def revision(kubectl: Kubectl, kind: str = "configmaps") -> str:
    return str(json.loads(raw(kubectl, kind))["metadata"]["resourceVersion"])


def summary(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def test_a_watch_begins_where_a_list_ended(kubectl: Kubectl) -> None:
    since = revision(kubectl)
    kubectl("create", "configmap", "seen")
    kubectl("label", "configmap", "seen", "a=b")
    kubectl("delete", "configmap", "seen")
    kubectl("create", "configmap", "after")
    events = watched(kubectl, f"resourceVersion={since}", 4)
    assert summary(events) == [
        ("ADDED", "seen"),
        ("MODIFIED", "seen"),
        ("DELETED", "seen"),
        ("ADDED", "after"),
    ]
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert revisions == sorted(set(revisions))
    kubectl("label", "configmap", "after", "a=b")
    selected = watched(kubectl, f"resourceVersion={since}&labelSelector=a%3Db", 3)
    assert summary(selected) == [("ADDED", "seen"), ("DELETED", "seen"), ("ADDED", "after")]


def test_a_revision_that_is_too_old_is_gone(kubectl: Kubectl) -> None:
    (event,) = watched(kubectl, "resourceVersion=1", 1)
    assert (event["type"], event["object"]["kind"]) == ("ERROR", "Status")
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: 1 (")


def test_initial_events_end_with_a_bookmark(kubectl: Kubectl) -> None:
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    count = len(kubectl.json("get", "configmaps")["items"])
    if (
        "unless the WatchList feature gate is enabled"
        in kubectl.run(
            "get",
            "--raw",
            f"/api/v1/namespaces/{kubectl.namespace}/configmaps?watch=1&timeoutSeconds=1&{query}",
        ).stderr
    ):
        pytest.skip("this server does not send initial events: its feature WatchList is off")
    events = watched(kubectl, query, count + 1)
    assert [event["type"] for event in events] == ["ADDED"] * count + ["BOOKMARK"]
    assert events[-1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_list_in_pages(kubectl: Kubectl) -> None:
    maps = [{**CONFIG_MAP, "metadata": {"name": f"page-{number}"}} for number in range(3)]
    kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": maps}))
    names = [c["metadata"]["name"] for c in json.loads(raw(kubectl, "configmaps"))["items"]]
    seen, more = [], ""
    while True:
        page = json.loads(raw(kubectl, f"configmaps?limit=2{more}"))
        seen += [item["metadata"]["name"] for item in page["items"]]
        if not page["metadata"].get("continue"):
            break
        assert page["metadata"]["remainingItemCount"] == len(names) - len(seen)
        more = f"&continue={page['metadata']['continue']}"
    assert seen == names


def test_the_name_label_of_a_namespace_cannot_change(kubectl: Kubectl) -> None:
    kubectl("label", "namespace", kubectl.namespace, "kubernetes.io/metadata.name=other", "--overwrite")
    labels = kubectl.json("get", "namespace", kubectl.namespace)["metadata"]["labels"]
    assert labels["kubernetes.io/metadata.name"] == kubectl.namespace


def test_a_reference_into_another_namespace_deletes(kubectl: Kubectl) -> None:
    node = kubectl.json("get", "pod", "p")
    uid = node["metadata"]["uid"]
    owner = {**CONFIG_MAP, "name": "elsewhere", "uid": uid}
    obj = {**CONFIG_MAP, "metadata": {"name": "dependent", "ownerReferences": [owner]}}
    kubectl("create", "-f", "-", stdin=json.dumps(obj))
    kubectl("wait", "--for=delete", "configmap/dependent", "--timeout=60s")


def test_the_address_of_a_service_stays(kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "stays", "--tcp=80")
    change = {"spec": {"clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.77"]}}
    message = kubectl.fails("patch", "service", "stays", "--type=merge", "-p", json.dumps(change))
    assert re.search(
        r'spec.clusterIPs\[0\]: Invalid value: .*"10.96.0.77".: may not change once set', message
    ), message
