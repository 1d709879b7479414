"""Clusters that get one thing wrong: each changes the policies that it is given before it enforces them.

So a mutant stands for an enforcer with that fault, whatever enforces: here the simulator,
in test_lab.py the lab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from netprobe.conformance.case import Case
from netprobe.conformance.fixture_map import fictional_map, probed_cells
from netprobe.conformance.load import builtin
from netprobe.manifests import from_objects
from netprobe.model.objects import Object
from netprobe.simulate import Simulator

SITE = fictional_map()
SECTIONS = {"ingress": "from", "egress": "to"}


def _rules(spec: Object) -> Iterator[tuple[Object, str]]:
    for section, key in SECTIONS.items():
        for rule in spec.get(section) or ():
            yield rule, key


def drop_egress(spec: Object) -> None:
    spec["policyTypes"] = [kind for kind in spec.get("policyTypes") or ["Ingress"] if kind != "Egress"]
    if not spec["policyTypes"]:
        spec["podSelector"] = {"matchLabels": {"nobody": "has-this"}}
        spec["policyTypes"] = ["Ingress"]


def drop_ingress(spec: Object) -> None:
    if "Ingress" in (spec.get("policyTypes") or ["Ingress"]):
        spec["ingress"], spec["policyTypes"] = [{}], [*(spec.get("policyTypes") or ["Ingress"])]


def ignore_except(spec: Object) -> None:
    for rule, key in _rules(spec):
        for peer in rule.get(key) or ():
            peer.get("ipBlock", {}).pop("except", None)


def ignore_end_port(spec: Object) -> None:
    for rule, _ in _rules(spec):
        for entry in rule.get("ports") or ():
            entry.pop("endPort", None)


def or_for_and(spec: Object) -> None:
    """Both selectors of one peer are taken for two peers."""
    for rule, key in _rules(spec):
        if rule.get(key):
            rule[key] = [
                {name: peer[name]}
                for peer in rule[key]
                for name in ("podSelector", "namespaceSelector", "ipBlock")
                if name in peer
            ]


def ignore_named_ports(spec: Object) -> None:
    """An entry with a name opens nothing."""
    for rule, _ in _rules(spec):
        for entry in rule.get("ports") or ():
            if isinstance(entry.get("port"), str):
                entry["port"] = "nobody-has-it"


def named_port_of_the_first(spec: Object) -> None:
    """Names are looked up once for all pods, not on each destination."""
    numbers = {"web": 82, "admin": 83}
    for rule, _ in _rules(spec):
        for entry in rule.get("ports") or ():
            entry["port"] = numbers.get(entry.get("port"), entry.get("port"))
            if entry["port"] is None:
                del entry["port"]


def ignore_ports(spec: Object) -> None:
    for rule, _ in _rules(spec):
        rule.pop("ports", None)


def ignore_protocol(spec: Object) -> None:
    for rule, _ in _rules(spec):
        for entry in rule.get("ports") or ():
            entry["protocol"] = "TCP"


def not_in_needs_the_key(spec: Object) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            extra = [
                {"key": one["key"], "operator": "Exists"}
                for one in value.get("matchExpressions") or ()
                if one["operator"] == "NotIn"
            ]
            if extra:
                value["matchExpressions"] = [*value["matchExpressions"], *extra]
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(spec)


def peers_of_every_namespace(spec: Object) -> None:
    """A podSelector alone reaches into other namespaces."""
    for rule, key in _rules(spec):
        for peer in rule.get(key) or ():
            if set(peer) == {"podSelector"}:
                peer["namespaceSelector"] = {}


def empty_means_all(spec: Object) -> None:
    """`ingress: []` is taken for `ingress: [{}]`."""
    for section in SECTIONS:
        if spec.get(section) == []:
            spec[section] = [{}]


MUTANTS: dict[str, Callable[[Object], None]] = {
    "drop egress": drop_egress,
    "drop ingress": drop_ingress,
    "ignore except": ignore_except,
    "ignore endPort": ignore_end_port,
    "OR for AND": or_for_and,
    "named ports ignored": ignore_named_ports,
    "named ports looked up once": named_port_of_the_first,
    "ports ignored": ignore_ports,
    "protocols ignored": ignore_protocol,
    "NotIn needs the key": not_in_needs_the_key,
    "podSelector in every namespace": peers_of_every_namespace,
    "an empty list allows everything": empty_means_all,
}


def mutated(policy: Object, mutant: str) -> Object:
    """A copy of a NetworkPolicy as the mutant reads it."""
    copy = deepcopy(policy)
    MUTANTS[mutant](copy["spec"])
    return copy


def shows(case: Case, mutant: str) -> bool:
    """Whether the mutant gets a cell of the case wrong."""
    if case.undefined is not None:
        return False
    for step in case.steps:
        policies = SITE.policies(step)
        wrong = [mutated(policy, mutant) for policy in policies]
        if wrong == policies:
            continue
        simulator = Simulator(replace(SITE.cluster(case, step), policies=from_objects(wrong).policies))
        for flow, verdict in SITE.declared(step, probed_cells(case)).items():
            decision = simulator.decide(flow)
            if decision.undefined is None and decision.verdict is not verdict:
                return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_case_that_runs_anywhere_finds_the_mutant(mutant: str) -> None:
    assert any(shows(case, mutant) for case in builtin() if not case.needs)
