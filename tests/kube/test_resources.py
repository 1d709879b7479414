from __future__ import annotations

import pytest

from netprobe.kube.resources import RESOURCES


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "path"),
    [
        ("Pod", "x", "a", "/api/v1/namespaces/x/pods/a"),
        ("Pod", "x", None, "/api/v1/namespaces/x/pods"),
        ("Pod", None, None, "/api/v1/pods"),
        ("Namespace", None, "x", "/api/v1/namespaces/x"),
        ("NetworkPolicy", "x", "p", "/apis/networking.k8s.io/v1/namespaces/x/networkpolicies/p"),
        ("Lease", "x", "../a", "/apis/coordination.k8s.io/v1/namespaces/x/leases/..%2Fa"),
    ],
)
def test_paths(kind: str, namespace: str | None, name: str | None, path: str) -> None:
    assert RESOURCES[kind].path(namespace, name) == path
