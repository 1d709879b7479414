"""The JSON form holds to docs/impact.schema.json, whatever changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

import netprobe
from netprobe.impact import FlowChange, impact
from netprobe.model.flow import Flow
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.report.impact import FORMATS
from netprobe.simulate import Simulator
from tests.impact.test_brute import revisions
from tests.property.strategies import seeded

SCHEMA = Path(netprobe.__file__).parents[1] / "docs" / "impact.schema.json"


def written(rng: Random, *, declare: bool = False) -> dict[str, Any]:
    revision = revisions(rng)
    declared = None
    if declare:
        refs = list(revision.after.pods)
        flows = [Flow(one, other, 80, family=4) for one in refs for other in refs if one != other]
        simulator = Simulator(revision.before)
        declared = {flow: simulator.decide(flow).verdict for flow in flows}
        declared = {flow: verdict for flow, verdict in declared.items() if verdict is not Verdict.UNKNOWN}
    document: dict[str, Any] = json.loads(
        "".join(FORMATS.render(impact(revision, declared=declared), "json"))
    )
    return document


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_every_document_keeps_the_schema(rng: Random, declare: bool) -> None:
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(written(rng, declare=declare))


def test_pods_on_their_nodes_network_are_named() -> None:
    for seed in range(30):
        revision = revisions(seeded(seed), relabel=False)
        hosts = [str(ref) for ref, pod in revision.after.pods.items() if pod.host_network]
        if hosts:
            break
    found = impact(revision)
    document = json.loads("".join(FORMATS.render(found, "json")))
    assert document["left_out"] == hosts
    assert document["summary"]["left_out"] == len(hosts)
    for form in ("table", "markdown"):
        assert f"define their flows: {listed(hosts, 5)}." in "".join(FORMATS.render(found, form)).replace(
            "\\", ""
        )
    nobody = {ref: replace(pod, host_network=True) for ref, pod in revision.after.pods.items()}
    before, after = (replace(state, pods=nobody) for state in (revision.before, revision.after))
    empty = impact(replace(revision, before=before, after=after))
    assert all(empty.flows(kind) == 0 for kind in FlowChange)
    assert len(empty.left_out) == len(nobody)
