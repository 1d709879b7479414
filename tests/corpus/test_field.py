"""Situations that people reported or asked about, each with the right answer.

A row has manifests, what some flows are (`FROM > TO:PORT` and a verdict), what lint says at least, and rules
of lint that must not speak.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import yaml

from netprobe.manifests import from_objects
from netprobe.model.flow import Protocol
from netprobe.simulate import Simulator, ends, flow
from tests.lint.helpers import documents, found, namespace, pod, policy


@dataclass(frozen=True)
class Situation:
    text: str
    flows: dict[str, str] = field(default_factory=dict)
    lint: dict[str, str] = field(default_factory=dict)
    quiet: tuple[str, ...] = ()


def workload(kind: str, name: str, labels: str, template: str, more: str = "") -> str:
    version = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
    pod_spec = "{containers: [{name: c, ports: [{containerPort: 5432}]}]}"
    inner = f"template: {{metadata: {{labels: {template}}}, spec: {pod_spec}}}"
    spec = f"{more}{inner}" if kind != "CronJob" else f"{more}jobTemplate: {{spec: {{{inner}}}}}"
    return (
        f"{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}, namespace: shop, labels: "
        f"{labels}}}, "
        f"spec: {{{spec}}}}}\n"
    )


def running(name: str, address: str, phase: str = "Running", **labels: str) -> str:
    text = pod(name, ports="[{containerPort: 80, name: http}]", **labels)
    return text.rstrip()[:-1] + f", status: {{phase: {phase}, podIPs: [{address}]}}}}\n"


def service(name: str, spec: str, namespace: str = "shop") -> str:
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {metadata}, spec: {{{spec}}}}}\n"


CLOSED = "policyTypes: [Ingress]"
DNS = "{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}"
TO_DNS = f"[{{to: [{DNS}], ports: [{{port: 53, protocol: UDP}}]}}]"

SITUATIONS = {
    "the primary of a StatefulSet by the name of its pod": Situation(
        documents(
            workload("StatefulSet", "db", "{}", "{app: db}", "replicas: 2, "),
            pod("w", app="writer"),
            policy(
                "{podSelector: {matchLabels: {statefulset.kubernetes.io/pod-name: db-0}}, ingress: "
                "[{from: [{podSelector: {matchLabels: {app: writer}}}]}]}",
                name="primary",
            ),
            policy(
                "{podSelector: {matchExpressions: [{key: apps.kubernetes.io/pod-index, operator: In, values: "
                f'["1"]}}]}}, {CLOSED}}}',
                name="replicas",
            ),
        ),
        {"shop/w > shop/db-0:5432": "ALLOW", "shop/w > shop/db-1:5432": "DENY"},
        quiet=("unmatched-pods",),
    ),
    "a Job by its name, and a CronJob that only has the label itself": Situation(
        documents(
            workload("Job", "migrate", "{}", "{}"),
            workload("CronJob", "sweep", "{app: sweep}", "{}"),
            pod("db", app="db"),
            policy(
                "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: "
                "{job-name: migrate}}}]}, {from: [{podSelector: {matchLabels: {app: sweep}}}]}]}"
            ),
        ),
        {"shop/migrate > shop/db:5432": "ALLOW", "shop/sweep > shop/db:5432": "DENY"},
        {"template-labels": "CronJob/sweep itself has the labels app=sweep, its pods do not"},
        ("unmatched-pods",),
    ),
    "between two runs of a CronJob": Situation(
        documents(
            running("backup-1", "{ip: 10.0.0.9}", "Succeeded", app="backup"),
            running("db", "{ip: 10.0.0.9}", app="db"),
            policy(f"{{podSelector: {{matchLabels: {{app: backup}}}}, {CLOSED}}}"),
        ),
        {"shop/db > shop/backup-1:80": "UNKNOWN", "shop/db > 10.0.0.9:80": "ALLOW"},
        quiet=("unmatched-pods",),
    ),
    "a hash that only a controller knows": Situation(
        documents(
            workload("Deployment", "web", "{}", "{app: web}"),
            pod("c", app="c"),
            policy(f"{{podSelector: {{matchLabels: {{app: web, pod-template-hash: abc}}}}, {CLOSED}}}"),
        ),
        {"shop/c > shop/web:80": "UNKNOWN"},
        {"volatile-label": "pod-template-hash"},
        ("unmatched-pods",),
    ),
    "labels that are on two pods": Situation(
        documents(
            pod("a", app="manager", component="x"),
            pod("b", app="other", component="manager"),
            policy(f"{{podSelector: {{matchLabels: {{app: manager, component: manager}}}}, {CLOSED}}}"),
        ),
        lint={"unmatched-pods": "warning"},
    ),
    "a policy without a namespace, and its pods in another": Situation(
        documents(
            pod("db", app="db"),
            pod("x", namespace="default", app="x"),
            policy(f"{{podSelector: {{matchLabels: {{app: db}}}}, {CLOSED}}}").replace(
                ", namespace: shop", ""
            ),
        ),
        {"default/x > shop/db:80": "ALLOW"},
        {"unmatched-pods": "such pods are in shop"},
    ),
    "the nodePort in a policy, and clients behind nodes": Situation(
        documents(
            pod("web", ports="[{containerPort: 8080}]", app="web"),
            service(
                "web",
                "type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: "
                "30080}]",
            ),
            policy(
                "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: "
                "30080}]}]}"
            ),
        ),
        {"203.0.113.7 > shop/web:8080": "DENY"},
        {
            "service-port": "30080 is the nodePort of Service shop/web",
            "client-address": "externalTrafficPolicy",
        },
    ),
    "the hostPort in a policy": Situation(
        documents(
            pod("sql", ports="[{containerPort: 3306, hostPort: 33306}]", app="sql"),
            policy("{podSelector: {}, ingress: [{ports: [{port: 33306}]}]}"),
        ),
        lint={"service-port": "33306 is the hostPort of pod sql; policies see the pod's port, 3306"},
    ),
    "a named targetPort that differs": Situation(
        documents(
            pod("new", ports="[{containerPort: 80, name: http}]", app="api"),
            pod("old", ports="[{containerPort: 8080, name: http}]", app="api"),
            service("api", "selector: {app: api}, ports: [{port: 80, targetPort: http}]"),
            policy("{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 80}]}]}"),
        ),
        {"203.0.113.7 > shop/new:80": "ALLOW", "203.0.113.7 > shop/old:8080": "DENY"},
        {"mixed-target-port": "80 on shop/new and 8080 on shop/old"},
    ),
    "node-local DNS": Situation(
        documents(
            pod(
                "node-local-dns",
                namespace="kube-system",
                spec="hostNetwork: true",
                **{"k8s-app": "node-local-dns"},
            ),
            running("web", "{ip: 10.0.0.7}", app="web"),
            policy(f"{{podSelector: {{}}, policyTypes: [Egress], egress: {TO_DNS}}}"),
        ),
        {"shop/web > 169.254.20.10:53": "DENY"},
        {"node-local-dns": "add {ipBlock: {cidr: 169.254.20.10/32}}"},
    ),
    "the API server by a namespaceSelector": Situation(
        documents(
            service(
                "kubernetes",
                "clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]",
                "default",
            ),
            "{apiVersion: v1, kind: Endpoints, metadata: {name: kubernetes, namespace: default}, "
            "subsets: [{addresses: "
            "[{ip: 192.0.2.4}], ports: [{name: https, port: 6443}]}]}\n",
            running("ctl", "{ip: 10.0.0.7}", app="ctl"),
            policy(
                "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], "
                "ports: [{port: 443}]}]}"
            ),
        ),
        {"shop/ctl > svc:default/kubernetes:443": "DENY", "shop/ctl > 192.0.2.4:6443": "DENY"},
        {"api-server-by-selector": "192.0.2.4/32"},
    ),
    "one family of two": Situation(
        documents(
            running("web", '{ip: 10.0.0.7}, {ip: "fd00::7"}', app="web"),
            policy(
                "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], "
                "ports: [{port: 443}]}]}"
            ),
        ),
        {"shop/web > 198.51.100.1:443": "ALLOW", "shop/web > 2001:db8::1:443": "DENY"},
        {"one-family": "contains no IPv6 address"},
    ),
    "Kustomize's labels in a peer": Situation(
        documents(
            namespace("ingress"),
            pod("ctl", namespace="ingress", app="nginx"),
            pod("web", app="web", team="red"),
            policy(
                "{podSelector: {matchLabels: {team: red}}, ingress: [{from: [{namespaceSelector: "
                "{matchLabels: {kubernetes.io/metadata.name: ingress}}, podSelector: {matchLabels: "
                "{app: nginx, team: red}}}]}]}"
            ),
        ),
        {"ingress/ctl > shop/web:80": "DENY"},
        {"kustomize-labels": "team=red"},
    ),
    "host bits": Situation(
        policy(
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.1.1/24}}, {ipBlock: {cidr: "
            "10.0.0.0/0}}]}]}"
        ),
        lint={"host-bits": "192.168.1.1/24 means 192.168.1.0/24"},
    ),
    "the pod itself": Situation(
        documents(
            running("ctl", "{ip: 10.0.0.7}", app="ctl"),
            policy("{podSelector: {}, policyTypes: [Ingress, Egress]}"),
        ),
        {f"shop/ctl > {end}:80": "ALLOW" for end in ("127.0.0.1", "10.0.0.7", "shop/ctl", "::1")},
    ),
    "a headless Service does not translate": Situation(
        documents(
            running("db", "{ip: 10.0.0.8}", app="db"),
            running("cli", "{ip: 10.0.0.9}", app="cli"),
            service("db", "clusterIP: None, selector: {app: db}, ports: [{port: 15432, targetPort: 5432}]"),
            policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]}"),
        ),
        {"shop/cli > svc:shop/db:15432": "DENY", "shop/cli > svc:shop/db:5432": "ALLOW"},
    ),
}


def verdict(text: str, asked: str) -> str:
    cluster = from_objects(each for each in yaml.safe_load_all(text) if each)
    source, _, rest = asked.partition(" > ")
    destination, _, port = rest.rpartition(":")
    protocol = Protocol.UDP if port == "53" else Protocol.TCP
    (one,), (other,) = ends(cluster, source), ends(cluster, destination)
    return Simulator(cluster).decide(flow(one, other, int(port), protocol)).verdict.value.upper()


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_a_situation_from_the_field(situation: Situation) -> None:
    assert {asked: verdict(situation.text, asked) for asked in situation.flows} == situation.flows
    findings = found(situation.text)
    said = [f"{one.severity.value} {one.rule}: {one.message}; {one.suggestion}" for one in findings]
    for rule, words in situation.lint.items():
        assert any(f" {rule}: " in line and words in line for line in said), (rule, said)
    assert not [line for line in said if line.split()[1].rstrip(":") in situation.quiet]
