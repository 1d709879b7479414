"""Manifests as text, in YAML's flow style: one object a line."""

from __future__ import annotations


def policy(spec: str, *, name: str = "p", namespace: str = "shop") -> str:
    """A policy with a spec in YAML's flow style."""
    return (
        f"{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, "
        f"metadata: {{name: {name}, namespace: {namespace}}}, spec: {spec}}}\n"
    )


def namespace(name: str, **labels: str) -> str:
    return f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {_flow(labels)}}}}}\n"


def pod(
    name: str,
    *,
    namespace: str = "shop",
    ports: str = "[]",
    spec: str = "",
    addresses: str = "",
    phase: str = "Running",
    **labels: str,
) -> str:
    """A pod of one container; with `addresses`, such as "{ip: 10.0.0.1}", it has a status."""
    more = f", {spec}" if spec else ""
    status = f", status: {{phase: {phase}, podIPs: [{addresses}]}}" if addresses else ""
    return (
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, "
        f"labels: {_flow(labels)}}}, "
        f"spec: {{containers: [{{name: c, image: i, ports: {ports}}}]{more}}}{status}}}\n"
    )


def workload(
    kind: str, name: str, template: str, *, labels: str = "{}", ports: str = "[]", more: str = ""
) -> str:
    """What makes pods with the labels `template`; `more` is in front of its template."""
    version = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
    pod_spec = f"{{containers: [{{name: c, image: i, ports: {ports}}}]}}"
    inner = f"template: {{metadata: {{labels: {template}}}, spec: {pod_spec}}}"
    spec = f"{more}{inner}" if kind != "CronJob" else f"{more}jobTemplate: {{spec: {{{inner}}}}}"
    metadata = f"{{name: {name}, namespace: shop, labels: {labels}}}"
    return f"{{apiVersion: {version}, kind: {kind}, metadata: {metadata}, spec: {{{spec}}}}}\n"


def service(spec: str, *, name: str = "a", namespace: str = "shop") -> str:
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {metadata}, spec: {{{spec}}}}}\n"


def cluster(
    rules: str, name: str = "c", *, tier: str = "Admin", priority: int = 10, subject: str = "{namespaces: {}}"
) -> str:
    """A ClusterNetworkPolicy with "ingress: […]" or "egress: […]"."""
    return (
        "{apiVersion: policy.networking.k8s.io/v1beta1, kind: ClusterNetworkPolicy, "
        f"metadata: {{name: {name}}}, "
        f"spec: {{tier: {tier}, priority: {priority}, subject: {subject}, {rules}}}}}\n"
    )


def calico(kind: str, spec: str, name: str) -> str:
    home = "" if kind in {"Tier", "GlobalNetworkPolicy", "StagedGlobalNetworkPolicy"} else ", namespace: shop"
    metadata = f"{{name: {name}{home}}}"
    return f"{{apiVersion: projectcalico.org/v3, kind: {kind}, metadata: {metadata}, spec: {spec}}}\n"


def documents(*parts: str) -> str:
    return "---\n".join(parts)


def _flow(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{key}": "{value}"' for key, value in labels.items()) + "}"
