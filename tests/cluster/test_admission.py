"""What a cluster's admission does to a run: let it pass, refuse it, or change what was asked for.

A namespace controller (the kind that fills new namespaces with quotas and default policies) is played by the
test: it creates its objects right after the run has created a namespace. Everything else is real, the
webhooks included, which are served next to the API server and asked for the test's own namespaces only.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from netprobe.cli import main
from netprobe.kube.client import KubeCluster
from netprobe.model.objects import Object
from tests.cluster.webhook import Webhook, serving
from tests.run.netprobe import kubectl, netprobe

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: admission}
topology:
  namespaces:
    - name: NAME
      pods:
        - {name: web, labels: {app: web}, ports: [80]}
        - {name: db, labels: {app: db}, ports: [5432]}
policies: [policy.yaml]
expect:
  default: deny
  flows:
    - {from: NAME/web, to: NAME/db, port: 5432, verdict: allow}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-web, namespace: NAME}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
"""

Write: TypeAlias = Callable[..., Path]


@pytest.fixture
def name(kubeconfig: str) -> Iterator[str]:
    """A namespace for the suite; it must be gone when the test ends."""
    name = f"admission-{secrets.token_hex(3)}"
    yield name
    assert name not in kubectl(kubeconfig, "get", "namespaces", "-o", "name")


@pytest.fixture
def suite(tmp_path: Path, name: str) -> Write:
    def write(policy: str = POLICY) -> Path:
        (tmp_path / "policy.yaml").write_text(policy.replace("NAME", name))
        path = tmp_path / "suite.yaml"
        path.write_text(SUITE.replace("NAME", name))
        return path

    return write


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Callable[[Object], None]:
    """`controller(obj)`: from now on every namespace that is created gets this object at once."""
    create = KubeCluster.create

    def playing(extra: Object) -> None:
        async def creating(self: KubeCluster, obj: Object) -> Object:
            made = await create(self, obj)
            if obj["kind"] == "Namespace":
                extra["metadata"]["namespace"] = obj["metadata"]["name"]
                await create(self, extra)
            return made

        monkeypatch.setattr(KubeCluster, "create", creating)

    return playing


def thing(kind: str, spec: dict[str, Any], api: str = "v1") -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "from-a-controller"}, "spec": spec}


def quota(**hard: str) -> Object:
    return thing("ResourceQuota", {"hard": {key.replace("_", "."): value for key, value in hard.items()}})


def limits(**what: Any) -> Object:
    return thing("LimitRange", {"limits": [{"type": "Container", **what}]})


@pytest.mark.parametrize(
    ("obj", "sentence"),
    [
        (quota(pods="1"), "a ResourceQuota forbids it: "),
        (quota(limits_cpu="150m"), "exceeded quota: from-a-controller, requested: limits.cpu=100m"),
        (limits(max={"cpu": "50m"}), "a LimitRange forbids it: "),
    ],
    ids=["one pod", "less than two frugal pods", "a twentieth of a processor a container"],
)
def test_what_refuses_pods_is_named_and_nothing_is_left(
    kubeconfig: str,
    suite: Write,
    controller: Callable[[Object], None],
    capfd: pytest.CaptureFixture[str],
    *,
    obj: Object,
    sentence: str,
) -> None:
    controller(obj)
    assert main(["run", str(suite()), "--kubeconfig", kubeconfig]) == 3
    said = capfd.readouterr().err
    assert sentence in said
    assert "permission" not in said, "it is not the credentials that are wrong"


@pytest.mark.parametrize(
    "obj",
    [
        quota(pods="10", limits_cpu="10"),
        quota(limits_cpu="450m"),  # less than one pod asks for at first; four frugal ones are canaries
        limits(default={"cpu": "50m"}, defaultRequest={"cpu": "10m"}),
        limits(max={"cpu": "200m"}, min={"memory": "64Mi"}, maxLimitRequestRatio={"cpu": "1"}),
    ],
    ids=["a quota", "a quota for frugal pods", "a LimitRange", "a LimitRange for frugal pods"],
)
def test_room_enough(
    kubeconfig: str, suite: Write, controller: Callable[[Object], None], obj: Object
) -> None:
    controller(obj)
    assert main(["run", str(suite()), "--kubeconfig", kubeconfig]) == 0


def test_a_default_deny_that_is_put_into_every_namespace(
    kubeconfig: str,
    suite: Write,
    name: str,
    controller: Callable[[Object], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    controller(thing("NetworkPolicy", spec, "networking.k8s.io/v1"))
    assert main(["run", str(suite()), "--kubeconfig", kubeconfig, "-o", "json"]) != 0
    report = json.loads(capfd.readouterr().out)
    assert any(
        f"a controller adds NetworkPolicies to new namespaces: {name}/from-a-controller" in problem
        for problem in report["problems"]
    ), report["problems"]
    assert {row["observed"] for row in report["flows"]} == {"unknown"}, "not one DENY is claimed"


def test_labels_that_admission_adds_are_simulated(
    kubeconfig: str, suite: Write, name: str, tmp_path: Path
) -> None:
    """The policy admits team=x, which only admission gives to the pods."""
    patch = [{"op": "add", "path": "/metadata/labels/team", "value": "x"}]
    policy = POLICY.replace("app: web", "team: x")
    with serving(kubeconfig, Webhook(name, "pods", patch=patch), tmp_path):
        ended = netprobe("run", suite(policy=policy), "--kubeconfig", kubeconfig, "-o", "json")
    flow = ended.flow(f"{name}/web", f"{name}/db", 5432)
    assert (flow["declared"], flow["simulated"], flow["observed"]) == ("allow", "allow", "allow")
    assert ended.status == 0, ended.out


@pytest.mark.parametrize("place", ["0", "-"], ids=["before the probe's container", "after it"])
def test_sidecars_are_named(kubeconfig: str, suite: Write, name: str, tmp_path: Path, place: str) -> None:
    proxy = {
        "name": "proxy",
        "image": "docker.io/library/alpine:3.20",
        "command": ["sleep", "3600"],
        "ports": [{"containerPort": 15001}],
    }
    patch = [{"op": "add", "path": f"/spec/containers/{place}", "value": proxy}]
    with serving(kubeconfig, Webhook(name, "pods", patch=patch), tmp_path):
        ended = netprobe("run", suite(), "--kubeconfig", kubeconfig, "-o", "json")
    assert ended.status == 3, ended.out + ended.err
    assert any("added containers to the probe pods: proxy (" in p for p in ended.report["problems"])
    assert {row["status"] for row in ended.report["flows"]} == {"as_expected"}


def test_a_webhook_that_refuses_is_quoted(kubeconfig: str, suite: Write, name: str, tmp_path: Path) -> None:
    hook = Webhook(name, "pods", refusal="images come from registry.example only")
    with serving(kubeconfig, hook, tmp_path):
        ended = netprobe("run", suite(), "--kubeconfig", kubeconfig)
    assert ended.status == 3
    assert "an admission webhook forbids it" in ended.err
    assert "images come from registry.example only" in ended.err
