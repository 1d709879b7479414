"""The rows of Calico's semantics, from manifests to verdicts. What they show is also seen as packets."""

from __future__ import annotations

import pytest

from netprobe.manifests.load import from_objects
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict
from tests.semantics.calico_rows import ROWS, WORLD, Row
from tests.semantics.stage import decisions, end

PODS = [f"{obj['metadata']['namespace']}/{obj['metadata']['name']}" for obj in WORLD if obj["kind"] == "Pod"]
ADDRESSES = {name: f"10.244.1.{index}" for index, name in enumerate(PODS, 1)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number} {row.situation}")
def test_row(row: Row) -> None:
    pods = iter(ADDRESSES.values())
    world = [
        {**obj, "status": {"podIPs": [{"ip": next(pods)}]}} if obj["kind"] == "Pod" else obj for obj in WORLD
    ]
    cluster = from_objects([*world, *row.objects(ADDRESSES)])
    flows = [Flow(end(source), end(destination), port) for source, destination, port, _ in row.flows()]
    found = [decision.verdict is Verdict.ALLOW for decision in decisions(cluster, flows)]
    assert found == [allowed for *_, allowed in row.flows()]
