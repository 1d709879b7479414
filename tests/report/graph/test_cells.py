"""Boxes that stand for several pods against every pair decided by itself, on random clusters."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Family, Protocol
from netprobe.model.verdict import Verdict
from netprobe.report.graph import Graph, GraphOptions, build
from netprobe.report.graph.cells import (
    PodGroup,
    by_namespace,
    cells_by_namespace,
    cells_of_groups,
    cells_of_rows,
    end_info,
    pod_groups,
)
from netprobe.report.graph.elements import EndName
from netprobe.run.steps import PairRows
from netprobe.simulate import AllPairs, Evaluation, Question, Simulator, evaluate, read_question
from tests.property.strategies import NAMESPACES, OUTSIDE, Shape, random_cluster, seeded

PLAIN = Shape(pods=14, policies=6, host_network=False, names=NAMESPACES)
CLUSTERS = 5

BySpace: TypeAlias = dict[tuple[str, str, int, Protocol, Family | None], set[Verdict]]


def grouped(cluster: Cluster) -> tuple[Question, Evaluation, list[PodGroup]]:
    question = read_question(cluster, externals=[External(address) for address in OUTSIDE])
    outside = [end for end in question.sources if isinstance(end, External)]
    evaluation = evaluate(cluster, externals=outside)
    ports = {end: question.ports_of(end) for end in question.destinations}
    return question, evaluation, pod_groups(evaluation, question.sources, ports)


def pairs_of(graph: Graph) -> set[tuple[str, str, str, Verdict | None]]:
    """Every pair of different pods in the boxes, with what the page says about it."""
    return {
        (source, target, cell.port_text(families=True), cell.simulated)
        for (one, other), cells in graph.cells.items()
        for source in graph.nodes[one].members
        for target in graph.nodes[other].members
        for cell in cells
        if source != target
    }


def test_a_box_of_several_pods_is_right_for_each_of_them() -> None:
    merged = 0
    for seed in range(CLUSTERS):
        question, evaluation, groups = grouped(random_cluster(seeded(seed), PLAIN))
        expected = {
            (str(row.flow.source), str(row.flow.destination), cell.port_text(families=True), row.result)
            for row in PairRows(AllPairs(question), changed_only=False)
            for cells in cells_of_rows([row]).values()
            for cell in cells
        }
        for simulator in (None, Simulator(question.cluster)):
            cells = cells_of_groups(groups, evaluation, simulator)
            options = GraphOptions(group=True, by_namespace=False)
            graph = build("t", cells, options, end_info(question.cluster, groups))
            assert pairs_of(graph) == expected, seed
            merged += sum(len(node.members) > 1 for node in graph.nodes)
    assert merged > CLUSTERS, "hardly any box stood for several pods"


def test_cells_between_namespaces_are_right_for_all_pairs() -> None:
    mixed = 0
    for seed in range(CLUSTERS):
        question, evaluation, groups = grouped(random_cluster(seeded(seed), PLAIN))
        families = evaluation.end_families
        found: BySpace = defaultdict(set)
        for (one, other), cells in cells_by_namespace(by_namespace(groups), evaluation).items():
            for cell in cells:
                for family in (cell.family,) if cell.family else families:
                    key = (_namespace(one), _namespace(other), cell.port, cell.protocol, family)
                    found[key].add(cell.simulated or Verdict.UNKNOWN)
        expected: BySpace = defaultdict(set)
        for source, target in product(evaluation.ends, evaluation.ends):
            if source == target or (isinstance(source, External) and isinstance(target, External)):
                continue
            ends = _namespace(EndName.of(source)), _namespace(EndName.of(target))
            for (port, protocol), family in product(question.ports_of(target), families):
                verdict = evaluation.table(port, protocol, family).verdict(source, target)
                if verdict is not Verdict.UNKNOWN:
                    expected[(*ends, port, protocol, family)].add(verdict)
        assert found == expected, seed
        mixed += sum(len(verdicts) == 2 for verdicts in found.values())
    assert mixed > CLUSTERS, "hardly any namespace was open in part"


def _namespace(end: EndName) -> str:
    return end.namespace or end.name
