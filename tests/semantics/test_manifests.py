"""The table of the tests with packets: from a NetworkPolicy as it is written to the simulator's verdicts."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.objects import Object
from netprobe.policies.kinds import NETWORK_POLICY
from tests.lab.fabric.probing import ports
from tests.lab.fabric.test_semantics import CASES, FLOWS, NAMESPACES, PODS
from tests.semantics.stage import marks


def cluster(policies: list[Object]) -> Cluster:
    pods = [
        Pod(PodRef.parse(name), labels, (ip_address(f"10.244.{node[1]}.{number}"),), ports(*serves), node)
        for number, (name, labels, node, *serves) in enumerate(PODS, 1)
    ]
    return Cluster(
        {name: Namespace(name, labels) for name, labels in NAMESPACES.items()},
        {pod.ref: pod for pod in pods},
        tuple(map(NETWORK_POLICY.policy, policies)),
    )


@pytest.mark.parametrize(
    ("policies", "port", "expected"), [pytest.param(*row, id=sentence) for sentence, *row in CASES]
)
def test_what_packets_show(policies: list[Object], port: str, expected: str) -> None:
    flows = [f"{one} -> {other} {port}".replace("out/host", "out") for one, other in FLOWS]
    assert marks(cluster(policies), flows) == expected
