"""Manifests of applications: kinds without effect, custom kinds, lists; and pods that run a command."""

from __future__ import annotations

import pytest

from tests.lab.kubectl.conftest import Kubectl

pytestmark = pytest.mark.lab

CUSTOM = """\
apiVersion: example.org/v1
kind: Thing
metadata: {name: odd}
spec: {any: [thing, {goes: true}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain}
"""
WITHOUT_EFFECT = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {ingressClassName: nginx, defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 3}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: default}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {type: LoadBalancer, externalIPs: [203.0.113.9], ports: [{port: 80}]}
"""
DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: things}
webhooks:
  - name: things.example.org
    admissionReviewVersions: [v1]
    sideEffects: None
    clientConfig: {service: {name: things, namespace: default}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
"""


def test_custom_resources_need_their_definition(kubectl: Kubectl) -> None:
    definition = kubectl.file("definition.yaml", DEFINITION)
    custom = kubectl.file("custom.yaml", CUSTOM)
    before = kubectl.run("apply", "-f", custom)
    assert before.returncode == 1
    assert 'no matches for kind "Thing" in version "example.org/v1"' in before.stderr
    assert before.stdout == "configmap/plain created\n", "the rest of the file is applied"
    try:
        done = kubectl.run("apply", "-f", definition)
        assert done.returncode == 0, done.stderr
        assert "does not use it" in done.stderr
        kubectl("wait", "--for=condition=Established", "crd/things.example.org", "--timeout=60s")
        done = kubectl.run("apply", "-f", custom)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "thing.example.org/odd created"), done
        assert "the lab stores this custom resource and does not use it" in done.stderr
        assert kubectl.json("get", "things", "odd")["spec"] == {"any": ["thing", {"goes": True}]}
        assert kubectl("apply", "-f", custom).splitlines()[0] == "thing.example.org/odd unchanged"
        assert "things.example.org" in kubectl("explain", "things")
        kubectl("label", "thing", "odd", "a=b")
    finally:
        kubectl("delete", "--ignore-not-found", "-f", definition)
    assert "NotFound" in kubectl.fails("get", "things")


def test_a_kind_without_effect_warns_once(kubectl: Kubectl) -> None:
    path = kubectl.file("unused.yaml", WITHOUT_EFFECT)
    done = kubectl.run("apply", "-f", path)
    assert done.returncode == 0, done.stderr
    warnings = [line.removeprefix("Warning: ") for line in done.stderr.splitlines()]
    assert sum("and does not use it" in warning for warning in warnings) == 5
    for what in ("externalIPs", "load balancers"):
        assert any(what in warning for warning in warnings), warnings
    again = kubectl.run("apply", "-f", path)
    assert (again.returncode, again.stderr) == (0, "")
    assert all(line.endswith(" unchanged") for line in again.stdout.splitlines()), again.stdout
    assert kubectl.run("diff", "-f", path).returncode == 0
    kubectl("create", "job", "--from=cronjob/nightly", "now")
    shown = kubectl("get", "ingress,hpa,pvc,rolebinding,cronjob", "-o", "name").split()
    kinds = "ingress horizontalpodautoscaler persistentvolumeclaim rolebinding cronjob"
    assert [one.partition(".")[0].partition("/")[0] for one in shown] == kinds.split()


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    kubectl("run", "web", "--image=nginx", "--port=80", "--expose")
    kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    return kubectl


def _once(kubectl: Kubectl, *command: str) -> tuple[int, str, str]:
    done = kubectl.run("run", "try", "--image=busybox", "--rm", "-i", "--restart=Never", "--", *command)
    return done.returncode, done.stdout, done.stderr


def test_kubectl_run_runs_the_command(web: Kubectl) -> None:
    status, _, message = _once(web, "nc", "-zv", "-w", "2", "web", "80")
    assert status == 0
    assert "succeeded" in message
    status, out, _ = _once(web, "sh", "-c", "echo out; exit 3")
    assert (status, out.splitlines()[0]) == (3, "out")
    status, _, message = _once(web, "no-such-program")
    assert status == 128
    assert 'exec: "no-such-program": executable file not found in $PATH' in message
    assert "NotFound" in web.fails("get", "pod", "try")
