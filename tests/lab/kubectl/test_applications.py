"""What an application's manifests contain beside pods and policies, and what people type beside `exec`."""

from __future__ import annotations

import pytest

from tests.lab.kubectl.conftest import Kubectl

pytestmark = pytest.mark.lab

LIST = """\
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: two}, data: {a: b}}
"""
UNKNOWN = """\
apiVersion: example.org/v1
kind: Thing
metadata: {name: odd}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain}
"""
BYSTANDERS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: nginx
  rules:
    - host: a.example
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: used}
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


def test_what_extends_the_api_is_stored_and_says_what_comes_of_it(kubectl: Kubectl) -> None:
    path = kubectl.file("extension.yaml", DEFINITION)
    try:
        done = kubectl.run("apply", "-f", path)
        assert done.returncode == 0, done.stderr
        assert "custom resources are not served, and objects of this kind are refused" in done.stderr
        assert "webhooks are not called" in done.stderr
        assert kubectl("get", "crd").split()[:4] == ["NAME", "CREATED", "AT", "things.example.org"]
        assert kubectl("get", "validatingwebhookconfigurations").split()[3:5] == ["things", "1"]
        assert "NotServed" in kubectl("describe", "crd", "things.example.org")
        assert kubectl("apply", "--server-side", "--force-conflicts", "-f", path)
        assert 'no matches for kind "Thing"' in kubectl.fails("apply", "-f", kubectl.file("t.yaml", UNKNOWN))
    finally:
        kubectl("delete", "--ignore-not-found", "-f", path)


def test_a_list_is_applied(kubectl: Kubectl) -> None:
    folder = kubectl.files / "application"
    folder.mkdir()
    (folder / "list.yaml").write_text(LIST)
    assert kubectl("apply", "-f", str(folder)) == "configmap/one created\nconfigmap/two created\n"
    said = kubectl("apply", "--server-side", "--field-manager=kubectl-client-side-apply", "-f", str(folder))
    assert said == "configmap/one serverside-applied\nconfigmap/two serverside-applied\n"


def test_a_kind_that_is_not_served_is_told_and_stops_no_other(kubectl: Kubectl) -> None:
    done = kubectl.run("apply", "-f", kubectl.file("odd.yaml", UNKNOWN))
    assert done.returncode == 1
    assert 'no matches for kind "Thing" in version "example.org/v1"' in done.stderr
    assert done.stdout == "configmap/plain created\n"


def test_what_is_only_stored_says_so_once(kubectl: Kubectl) -> None:
    path = kubectl.file("bystanders.yaml", BYSTANDERS)
    done = kubectl.run("apply", "-f", path)
    assert done.returncode == 0, done.stderr
    warnings = [line.removeprefix("Warning: ") for line in done.stderr.splitlines()]
    told = [warning.partition(":")[0] for warning in warnings]
    assert told[:3] == ["the lab stores this and does not use it"] * 3
    assert "the lab does not run images" in told
    for what in ("externalIPs", "load balancers"):
        assert any(what in warning for warning in warnings), warnings
    again = kubectl.run("apply", "-f", path)
    assert (again.returncode, again.stderr) == (0, "")
    assert all(line.endswith(" unchanged") for line in again.stdout.splitlines()), again.stdout
    assert kubectl.run("diff", "-f", path).returncode == 0
    shown = kubectl("get", "ingress,hpa,pvc")
    assert [line.split()[: -1 if "Pending" in line else 4] for line in shown.splitlines() if "/" in line] == [
        ["ingress.networking.k8s.io/web", "nginx", "a.example", "80"],
        ["horizontalpodautoscaler.autoscaling/web", "Deployment/web", "cpu:", "<unknown>/80%"],
        ["persistentvolumeclaim/data", "Pending", "<unset>"],
    ]


def test_a_job_of_a_cron_job_by_hand(kubectl: Kubectl) -> None:
    kubectl("create", "cronjob", "yearly", "--image=x", "--schedule=@yearly")
    kubectl("create", "job", "--from=cronjob/yearly", "now")
    kubectl("wait", "--for=create", "pod", "-l", "job-name=now", "--timeout=60s")
    assert kubectl("get", "cronjob", "yearly", "--no-headers").split()[:5] == [
        "yearly", "@yearly", "<none>", "False", "0",
    ]  # fmt: skip
    kubectl("delete", "cronjob", "yearly")
    kubectl("wait", "--for=delete", "job/now", "--timeout=60s")


def test_kubectl_makes_these_by_itself(kubectl: Kubectl) -> None:
    """It sends them as protobuf."""
    kubectl("create", "deployment", "web", "--image=x")
    kubectl("autoscale", "deployment", "web", "--max=4", "--cpu-percent=50")
    made = kubectl.json("get", "hpa", "web")["spec"]
    assert (made["maxReplicas"], made["scaleTargetRef"]["name"]) == (4, "web")
    assert made["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    kubectl("create", "ingress", "way", "--rule=a.example/path=web:80")
    [rule] = kubectl.json("get", "ingress", "way")["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]
    assert (rule["host"], backend) == ("a.example", {"service": {"name": "web", "port": {"number": 80}}})


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    kubectl("run", "web", "--image=nginx", "--port=80", "--expose")
    kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    return kubectl


def _once(kubectl: Kubectl, *command: str) -> tuple[int, str, str]:
    done = kubectl.run("run", "try", "--image=busybox", "--rm", "-i", "--restart=Never", "--", *command)
    return done.returncode, done.stdout, done.stderr


def test_a_pod_that_is_attached_to_runs_its_command(web: Kubectl) -> None:
    status, _, said = _once(web, "nc", "-zv", "-w", "2", "web", "80")
    assert status == 0
    assert "succeeded" in said
    status, out, _ = _once(web, "sh", "-c", "echo out; exit 3")
    assert (status, out.splitlines()[0]) == (3, "out")
    status, _, said = _once(web, "no-such-program")
    assert status == 128
    assert 'exec: "no-such-program": executable file not found in $PATH' in said
    assert "NotFound" in web.fails("get", "pod", "try")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["top", "pod"], "Metrics API not available"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_what_the_lab_has_not_is_one_sentence(web: Kubectl, command: list[str], sentence: str) -> None:
    assert sentence in web.fails(*command)
