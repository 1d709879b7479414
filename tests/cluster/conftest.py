"""A real cluster, as tests/cluster/real.py finds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import pytest

from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from tests.cluster import real

T = TypeVar("T")
Run: TypeAlias = Callable[[Callable[[KubeCluster], Awaitable[object]]], object]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster" in str(item.path):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    return real.kubeconfig()


@pytest.fixture
def on_cluster(kubeconfig: str) -> Run:
    """Runs a coroutine function with a connection to the cluster."""

    def run(work: Callable[[KubeCluster], Awaitable[object]]) -> object:
        async def connected() -> object:
            async with connect(kubeconfig) as cluster:
                return await work(cluster)

        return asyncio.run(connected())

    return run
