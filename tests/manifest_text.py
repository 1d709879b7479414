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


def pod(name: str, *, namespace: str = "shop", ports: str = "[]", spec: str = "", **labels: str) -> str:
    return (
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, "
        f"labels: {_flow(labels)}}}, "
        f"spec: {{containers: [{{name: c, image: i, ports: {ports}}}]{', ' if spec else ''}{spec}}}}}\n"
    )


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
