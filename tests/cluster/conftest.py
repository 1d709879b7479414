"""A real cluster, or the reason why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import pytest

from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from tests.cluster.real import kubeconfig as find

T = TypeVar("T")
Run: TypeAlias = Callable[[Callable[[KubeCluster], Awaitable[object]]], object]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster" in str(item.path):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.fixture
def kubeconfig() -> str:
    found = find()
    if found is None:
        pytest.skip("no real cluster: set NETPROBE_TEST_KUBECONFIG, or bring ../shared/realcluster up")
    return found


@pytest.fixture
def on_cluster(kubeconfig: str) -> Run:
    """Runs a coroutine function with a connection to the cluster."""

    def run(work: Callable[[KubeCluster], Awaitable[object]]) -> object:
        async def connected() -> object:
            async with connect(kubeconfig) as cluster:
                return await work(cluster)

        return asyncio.run(connected())

    return run
