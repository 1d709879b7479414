"""The JSON form keeps docs/impact.schema.json, whatever changes."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.impact import FlowChange, Snapshot, impact, revise
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.policy import Policy, PolicyRef
from netprobe.model.verdict import Verdict
from netprobe.report.impact import FORMATS
from netprobe.simulate import Simulator
from tests.conftest import schema
from tests.impact.test_brute import revisions
from tests.impact.world import WORLD

VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema("impact").read_text()))


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_every_document_keeps_the_schema(rng: Random, declare: bool) -> None:
    revision = revisions(rng)
    refs, simulator = list(revision.after.pods), Simulator(revision.before)
    flows = [Flow(one, other, 80, family=4) for one in refs for other in refs if one != other]
    verdicts = {flow: simulator.decide(flow).verdict for flow in flows} if declare else {}
    declared = {flow: verdict for flow, verdict in verdicts.items() if verdict is not Verdict.UNKNOWN}
    found = impact(revision, declared=declared if declare else None)
    VALIDATOR.validate(json.loads("".join(FORMATS.render(found, "json"))))


def test_pods_on_their_nodes_network_are_named() -> None:
    pods = {ref: replace(pod, host_network=True) for ref, pod in WORLD.pods.items()}
    deny = Snapshot(Cluster(policies=(Policy(PolicyRef("shop", "deny"), ingress=()),)))
    found = impact(revise(Snapshot(replace(WORLD, pods=pods)), deny))
    assert all(found.flows(kind) == 0 for kind in FlowChange)
    document = json.loads("".join(FORMATS.render(found, "json")))
    assert (document["left_out"], document["summary"]["left_out"]) == (list(map(str, pods)), len(pods))
    for form in ("table", "markdown"):
        text = "".join(FORMATS.render(found, form)).replace("\\", "")
        assert "define their flows: shop/web, shop/api-1, shop/api-2" in text
