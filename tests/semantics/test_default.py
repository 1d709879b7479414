"""What the API server fills in and refuses, from the manifest to the verdict.

The subject is x/a, selected by its label. The first column says who gets in (x/b, y/a, out on TCP 80; x/b
on UDP 80), the second where it gets out to.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from netprobe.model.policy import Direction
from netprobe.policies.kinds import NETWORK_POLICY
from tests.policies.reading import validate_policy
from tests.semantics.stage import marks, param, stage, toward

OPEN, CLOSED = ". . . .", "X X X X"
A = "podSelector: {matchLabels: {app: a}},"


def manifest(spec: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "x", "name": "p"},
        "spec": yaml.safe_load("{" + spec + "}"),
    }


def asked(direction: Direction) -> list[str]:
    return [*toward(direction, "x/a", "x/b y/a out"), *toward(direction, "x/a", "x/b", "80/UDP")]


DEFAULTS = [
    param("", CLOSED, OPEN, id="policyTypes absent: Ingress always"),
    param("policyTypes: []", CLOSED, OPEN, id="policyTypes []: the same as absent"),
    param("egress: []", CLOSED, OPEN, id="Egress only where there is at least one egress rule"),
    param("egress: [{}]", CLOSED, OPEN, id="an egress rule that allows everything, and Ingress"),
    param("egress: [{ports: [{port: 80}]}]", CLOSED, ". . . X", id="an egress rule brings Egress"),
    param("policyTypes: [Egress]", OPEN, CLOSED, id="deny-all-egress needs an explicit policyTypes"),
    param(
        "policyTypes: [Ingress], egress: [{ports: [{port: 1}]}]",
        CLOSED,
        OPEN,
        id="left out: no effect",
    ),
    param("policyTypes: [Egress], ingress: []", OPEN, CLOSED, id="ingress left out has no effect either"),
    param(
        "policyTypes: [Ingress, Ingress]",
        CLOSED,
        OPEN,
        id="policyTypes twice: accepted",
    ),
    param("ingress: []", CLOSED, OPEN, id="ingress []: isolated, nothing allowed"),
    param("ingress: [{}]", OPEN, OPEN, id="ingress: [{}]: isolated, everything allowed"),
    param("ingress: [{from: []}]", OPEN, OPEN, id="from []: every peer"),
    param("ingress: [{ports: []}]", OPEN, OPEN, id="ports []: every port"),
    param("ingress: [{ports: [{}]}]", ". . . X", OPEN, id="ports: [{}]: all of TCP"),
    param("ingress: [{ports: [{port: 80}]}]", ". . . X", OPEN, id="an entry without protocol: TCP"),
    param("ingress: [{ports: [{protocol: UDP}]}]", "X X X .", OPEN, id="an entry without port"),
    param("ingress: [{ports: [{port: 79, endPort: 80}]}]", ". . . X", OPEN, id="endPort"),
    param("ingress: [{from: [{podSelector: {}}]}]", ". X X .", OPEN, id="a peer's podSelector {}"),
    param("ingress: [{from: [{namespaceSelector: {}}]}]", ". . X .", OPEN, id="namespaceSelector {}"),
    param(
        "ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: y}}}]}]",
        "X . X X",
        OPEN,
        id="kubernetes.io/metadata.name",
    ),
    param(
        "ingress: [{from: [{podSelector: {}, namespaceSelector: {matchLabels: {team: two}}}]}]",
        "X . X X",
        OPEN,
        id="one list item: AND",
    ),
    param(
        "ingress: [{from: [{podSelector: {}}, {namespaceSelector: {matchLabels: {team: two}}}]}]",
        ". . X .",
        OPEN,
        id="two list items: OR, one dash more",
    ),
    param(
        "ingress: [{from: [{ipBlock: {cidr: 203.0.113.77/24}}]}]",
        "X X . X",
        OPEN,
        id="a cidr with host bits is the network it means",
    ),
    param(
        "ingress: [{from: [{ipBlock: {cidr: 203.000.113.0/24}}]}]",
        "X X . X",
        OPEN,
        id="a cidr with leading zeros is the network it means",
    ),
    param(
        "ingress: [{from: [{ipBlock: {cidr: '::ffff:203.0.113.0/120'}}]}]",
        "X X . X",
        OPEN,
        id="a v4-mapped cidr is the network it means",
    ),
]


@pytest.mark.parametrize(("spec", "into", "out_of"), DEFAULTS)
def test_from_the_manifest_to_the_verdict(spec: str, into: str, out_of: str) -> None:
    obj = manifest(A + spec)
    assert validate_policy(obj) == []
    cluster = stage(NETWORK_POLICY.policy(obj))
    assert marks(cluster, asked(Direction.INGRESS)) == into
    assert marks(cluster, asked(Direction.EGRESS)) == out_of


@pytest.mark.parametrize("spec", ["", "podSelector: {}"])
def test_without_a_podselector_or_with_an_empty_one_every_pod_of_the_namespace(spec: str) -> None:
    obj = manifest(spec)
    assert validate_policy(obj) == []
    cluster = stage(NETWORK_POLICY.policy(obj))
    asked = [f"z/a -> {subject} 80" for subject in ("x/a", "x/b", "x/e", "x/n", "y/a")]
    assert marks(cluster, asked) == "X X X X ."
