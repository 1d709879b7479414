"""What conflicts.py says about those who see a shadow pod, each tried on a real cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe import PodOptions, guest_workbench
from netprobe.probe.guest_workbench import Shadow
from tests.cluster.neighbours import Neighbours, neighbours, until
from tests.run.netprobe import kubectl

CONTAINERS = "containers: [{name: main, image: 'docker.io/library/alpine:3.20', command: [sleep, '3600']}]"
WORKLOAD = """
apiVersion: API
kind: KIND
metadata: {name: adopter, namespace: SHOP}
spec:
  selector: {matchLabels: {app: APP}}
  template: {metadata: {labels: {app: APP}}, spec: {MORE CONTAINERS}}
""".replace("CONTAINERS", CONTAINERS)


def workload(api: str, kind: str, app: str, spec: str = "", more: str = "") -> str:
    made = WORKLOAD.replace("API", api, 1).replace("KIND", kind, 1).replace("APP", app)
    return made.replace("MORE", more) + spec


RUN = "77777777"


@pytest.fixture(scope="module")
def next_door(kubeconfig: str) -> Iterator[Neighbours]:
    with neighbours(kubeconfig) as made:
        baseline = "pod-security.kubernetes.io/enforce=baseline"  # short manifests below
        kubectl(kubeconfig, "label", "namespace", made.shop, "--overwrite", baseline)
        yield made


@contextmanager
def shadow(next_door: Neighbours, labels: dict[str, str]) -> Iterator[PodRef]:
    """A shadow pod of the run's own making, with its Job, running."""
    options = PodOptions(lifetime_s=300)
    node = next_door.get("pods", "-n", next_door.shop)["items"][0]["spec"]["nodeName"]
    ref = PodRef(next_door.shop, f"netprobe-{RUN}-0")
    job = guest_workbench.owner_job(next_door.shop, RUN, options)
    made: Object = json.loads(create(next_door, job))
    pod = guest_workbench.shadow_pod(
        Shadow(ref, labels, node, (PodRef(next_door.shop, "web"),)), RUN, options, made["metadata"]["uid"]
    )
    try:
        create(next_door, pod)
        words = ("wait", f"pod/{ref.name}", "--for=condition=ContainersReady", "--timeout=60s")
        kubectl(next_door.kubeconfig, "-n", ref.namespace, *words)
        yield ref
    finally:
        kubectl(
            next_door.kubeconfig,
            *("-n", next_door.shop, "delete", "pods,jobs", "-l", f"netprobe.dev/run={RUN}"),
        )


def create(next_door: Neighbours, obj: Object) -> str:
    return kubectl(next_door.kubeconfig, "create", "-o", "json", "-f", "-", stdin=json.dumps(obj))


def controllers(next_door: Neighbours, ref: PodRef) -> list[str]:
    """Who controls the pod; "gone" where somebody removed it."""
    found = next_door.get("pods", "-n", ref.namespace, "-l", f"netprobe.dev/run={RUN}")["items"]
    if not found or "deletionTimestamp" in found[0]["metadata"]:
        return ["gone"]
    owners = found[0]["metadata"].get("ownerReferences") or ()
    return [owner["kind"] for owner in owners if owner.get("controller")]


def endpoints(next_door: Neighbours, service: str, ref: PodRef) -> list[bool]:
    """For each time that a Service lists the pod, whether as ready."""
    name = f"kubernetes.io/service-name={service}"
    slices = next_door.get("endpointslices", "-n", ref.namespace, "-l", name)["items"]
    return [
        bool(one["conditions"].get("ready"))
        for each in slices
        for one in each.get("endpoints") or ()
        if (one.get("targetRef") or {}).get("name") == ref.name
    ]


ADOPTERS = {
    "ReplicaSet": workload("apps/v1", "ReplicaSet", "lonely"),
    "DaemonSet": workload("apps/v1", "DaemonSet", "lonely"),
    "Job": workload("batch/v1", "Job", "lonely", "  manualSelector: true", "restartPolicy: Never,"),
}


@pytest.mark.parametrize("manifest", ADOPTERS.values(), ids=ADOPTERS)
def test_these_adopt_or_remove_a_shadow_pod(next_door: Neighbours, manifest: str) -> None:
    with shadow(next_door, {"app": "lonely"}) as ref:
        assert controllers(next_door, ref) == []
        with next_door.applied(manifest):
            until(lambda: controllers(next_door, ref) != [])


def test_a_deployment_and_a_stateful_set_leave_it_alone(next_door: Neighbours) -> None:
    """Each is scaled while the pod is there, so that its controller has looked at all that it selects."""
    stateful = workload("apps/v1", "StatefulSet", "web", "  serviceName: adopter")
    with shadow(next_door, {"app": "web"}) as ref:
        scale(next_door, 3)
        next_door.settled()
        try:
            with next_door.applied(stateful):
                where = ("-n", next_door.shop, "rollout", "status", "sts/adopter", "--timeout=80s")
                kubectl(next_door.kubeconfig, *where)
                assert controllers(next_door, ref) == []
        finally:
            scale(next_door, 2)
            next_door.settled()


def scale(next_door: Neighbours, replicas: int) -> None:
    words = ("-n", next_door.shop, "scale", "deployment/web", f"--replicas={replicas}")
    kubectl(next_door.kubeconfig, *words)


def test_a_budget_is_unchanged(next_door: Neighbours) -> None:
    def budget() -> tuple[int, int, int]:
        status = next_door.get("poddisruptionbudget", "-n", next_door.shop, "web")["status"]
        return status["expectedPods"], status["currentHealthy"], status["disruptionsAllowed"]

    until(lambda: budget() == (2, 2, 1))
    with shadow(next_door, {"app": "web"}):
        # A third replica makes the budget count again, with the shadow pod there.
        scale(next_door, 3)
        until(lambda: budget() == (3, 3, 1))
        scale(next_door, 2)
        until(lambda: budget() == (2, 2, 1))


def test_a_service_lists_it_as_not_ready_and_one_that_publishes_all_as_ready(next_door: Neighbours) -> None:
    gossip = """
apiVersion: v1
kind: Service
metadata: {name: gossip, namespace: SHOP}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: web}, ports: [{port: 8080}]}
"""
    with next_door.applied(gossip):
        with shadow(next_door, {"app": "web"}) as ref:
            until(lambda: endpoints(next_door, "gossip", ref) == [True])
            until(lambda: endpoints(next_door, "web", ref) == [False])
        until(lambda: endpoints(next_door, "web", ref) == [])


PICKY = {
    "anti-affinity": """
  affinity:
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        - {labelSelector: {matchLabels: {app: lonely}}, topologyKey: kubernetes.io/hostname}
""",
    "spread": """
  topologySpreadConstraints:
    - labelSelector: {matchLabels: {app: lonely}}
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: DoNotSchedule
      maxSkew: 1
      nodeAffinityPolicy: Ignore
""",
}


@pytest.mark.parametrize("ruled_out", PICKY.values(), ids=PICKY)
def test_a_pod_of_others_cannot_be_scheduled_next_to_it(next_door: Neighbours, ruled_out: str) -> None:
    """On the shadow pod's node, where no real pod with such labels keeps it away already."""
    if "topologySpread" in ruled_out and len(next_door.get("nodes")["items"]) < 2:
        pytest.skip("on one node there is nothing to spread over: this cluster has one")
    picky = f"""
apiVersion: v1
kind: Pod
metadata: {{name: picky, namespace: SHOP, labels: {{app: lonely}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: NODE}}
  {CONTAINERS}{ruled_out}
"""

    def scheduled() -> str:
        conditions = next_door.get("pod", "-n", next_door.shop, "picky")["status"].get("conditions") or ()
        return next((c["status"] for c in conditions if c["type"] == "PodScheduled"), "")

    with shadow(next_door, {"app": "lonely"}) as ref:
        node = next_door.get("pod", "-n", ref.namespace, ref.name)["spec"]["nodeName"]
        next_door.apply(picky.replace("NODE", node))
        try:
            until(lambda: scheduled() == "False")
        finally:
            picked = ("-n", next_door.shop, "delete", "pod", "picky", "--grace-period=0", "--force")
            kubectl(next_door.kubeconfig, *picked)


def test_a_job_that_goes_first_leaves_its_pod_an_orphan(next_door: Neighbours) -> None:
    """Why cleanup removes Jobs last: through batch/v1, deleting one leaves what it owns, without an owner."""
    with shadow(next_door, {"app": "nobody"}) as ref:
        job = f"/apis/batch/v1/namespaces/{next_door.shop}/jobs/netprobe-{RUN}"
        kubectl(next_door.kubeconfig, "delete", "--raw", job)  # as netprobe asks: no propagation policy
        until(
            lambda: (
                next_door.get("jobs", "-n", next_door.shop, "-l", f"netprobe.dev/run={RUN}")["items"] == []
            )
        )
        (pod,) = next_door.get("pods", "-n", ref.namespace, "-l", f"netprobe.dev/run={RUN}")["items"]
        assert "deletionTimestamp" not in pod["metadata"]
        assert not pod["metadata"].get("ownerReferences")
