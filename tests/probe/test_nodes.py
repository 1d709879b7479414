"""Which nodes are used, and which are waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from netprobe.model.objects import Object
from netprobe.probe.nodes import NodeStatus, chosen, nodes
from tests.probe.clock import now, virtually
from tests.probe.fake import FakeCluster

NOW = datetime.now(UTC)
NOT_READY = "node.kubernetes.io/not-ready"


def node(
    name: str, ready: str | None = "True", *taints: str, age_s: float = 5, now: datetime = NOW, **spec: Any
) -> Object:
    changed = (now - timedelta(seconds=age_s)).isoformat(timespec="seconds").replace("+00:00", "Z")
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": changed}] if ready else []
    listed = [{"key": taint, "effect": "NoSchedule"} for taint in taints]
    return {
        "kind": "Node",
        "metadata": {"name": name, "creationTimestamp": changed},
        "spec": {"taints": listed, **spec},
        "status": {"conditions": conditions},
    }


@pytest.mark.parametrize(
    ("obj", "starting", "usable"),
    [
        pytest.param(node("n"), False, True, id="ready"),
        pytest.param(node("n", "True", NOT_READY), True, True, id="ready, and its taint is not gone yet"),
        pytest.param(node("n", "False", NOT_READY), True, False, id="not ready yet"),
        pytest.param(node("n", None), True, False, id="its kubelet has not reported yet"),
        pytest.param(node("n", "True", "node.cilium.io/agent-not-ready"), True, True, id="no network yet"),
        pytest.param(node("n", "False", NOT_READY, age_s=3600), False, False, id="broken for an hour"),
        pytest.param(node("n", None, age_s=3600), False, False, id="silent for an hour"),
        pytest.param(node("n", "Unknown", NOT_READY), False, False, id="its kubelet has stopped"),
        pytest.param(node("n", "True", "role/control-plane"), False, True, id="kept for others"),
        pytest.param(
            node("n", "False", NOT_READY, "role/control-plane"), False, False, id="kept, and not ready"
        ),
        pytest.param(node("n", "False", NOT_READY, unschedulable=True), False, False, id="cordoned"),
    ],
)
def test_which_nodes_are_about_to_be_usable(obj: Object, starting: bool, usable: bool) -> None:
    status = NodeStatus.of(obj, NOW)
    assert (status.starting, status.usable) == (starting, usable)


@pytest.mark.parametrize(
    ("ready_after_s", "wait_s", "found", "took_s"),
    [(7.5, 120.0, ("a", "b"), 8.0), (7.5, 3.0, ("a",), 3.0), (7.5, 0.0, ("a",), 0.0)],
)
def test_a_node_that_starts_is_waited_for(
    ready_after_s: float, wait_s: float, found: tuple[str, ...], took_s: float
) -> None:
    cluster = FakeCluster()
    cluster.objects["Node", None, "a"] = node("a")
    cluster.objects["Node", None, "b"] = node("b", "True", NOT_READY, now=datetime.now(UTC))
    said: list[str] = []

    async def run() -> tuple[str, ...]:
        def ready() -> None:
            cluster.objects["Node", None, "b"] = node("b")

        asyncio.get_running_loop().call_later(ready_after_s, ready)
        return chosen(await nodes(cluster, wait_s=wait_s, progress=said.append), 2)

    async def timed() -> tuple[tuple[str, ...], float]:
        return await run(), now()

    assert virtually(timed()) == (found, took_s)
    assert set(said) == ({"waiting for nodes that start: b"} if wait_s else set())
