"""Boxes that stand for many against every pair decided for itself, on random clusters."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Family, Protocol
from netprobe.model.verdict import Cause, Verdict
from netprobe.report.graph import Clause, Graph, Party, Wanted, build, summary
from netprobe.report.graph.build import port_text
from netprobe.report.graph.cells import Citing, of_rows
from netprobe.report.graph.policies import Crowd, crowds, ends_of, of_policies
from netprobe.simulate import Evaluation, Simulator, evaluate
from netprobe.survey import Question, Survey, ask
from tests.property.strategies import NAMESPACES, OUTSIDE, Shape, random_cluster, seeded

PLAIN = Shape(pods=14, policies=6, host_network=False, names=NAMESPACES)
CLUSTERS = 40

Said = tuple[str, str, str, Verdict]


def cite(cause: Cause) -> Clause:
    return Clause(str(cause.policy), f"{cause.direction.value} {cause.rule} {cause.peer}")


def crowded(question: Question) -> tuple[Evaluation, list[Crowd]]:
    outside = [end for end in question.sources if isinstance(end, External)]
    evaluation = evaluate(question.cluster, externals=outside)
    return evaluation, crowds(
        evaluation, question.sources, {end: question.ports_of(end) for end in question.destinations}
    )


def asked(cluster: Cluster) -> Question:
    return ask(cluster, externals=[External(address) for address in OUTSIDE])


def told(graph: Graph) -> set[Said]:
    """Every pair of different pods behind the boxes, with what the page says about it."""
    return {
        (source, target, port_text(cell, families=True), cell.simulated or Verdict.UNKNOWN)
        for (one, other), cells in graph.cells.items()
        for source in graph.nodes[one].members
        for target in graph.nodes[other].members
        for cell in cells
        if source != target
    }


def test_boxes_of_several_say_what_holds_for_each() -> None:
    merged = 0
    for seed in range(CLUSTERS):
        question = asked(random_cluster(seeded(seed), PLAIN))
        evaluation, found = crowded(question)
        expected = {
            (str(row.flow.source), str(row.flow.destination), port_text(cell, families=True), row.result)
            for row in Survey(question).rows()
            for cell in of_rows([row], cite)
        }
        for decide in (None, Simulator(question.cluster)):
            cells = of_policies(found, evaluation, decide, Citing(cite))
            graph = build("t", cells, Wanted(group=True, summary=False), ends_of(question.cluster, found))
            assert told(graph) == expected, seed
            merged += sum(node.count > 1 for node in graph.nodes)
    assert merged > CLUSTERS, "hardly any box stood for several"


def test_the_summary_is_that_of_all_pairs() -> None:
    mixed = 0
    for seed in range(CLUSTERS):
        question = asked(random_cluster(seeded(seed), PLAIN))
        evaluation, found = crowded(question)
        realms = summary.realms(found, evaluation)
        said: dict[tuple[str, str, int, Protocol, Family | None], set[Verdict]] = defaultdict(set)
        for cell in summary.of_realms(realms, evaluation):
            ends = _realm(cell.source), _realm(cell.destination)
            for family in (cell.family,) if cell.family else summary.families_of(evaluation):
                said[(*ends, cell.port, cell.protocol, family)].add(cell.simulated or Verdict.UNKNOWN)
        expected: dict[tuple[str, str, int, Protocol, Family | None], set[Verdict]] = defaultdict(set)
        families = summary.families_of(evaluation)
        for source, target in product(evaluation.ends, evaluation.ends):
            if source == target or (isinstance(source, External) and isinstance(target, External)):
                continue
            for port, protocol in question.ports_of(target):
                for family in families:
                    verdict = evaluation.table(port, protocol, family).verdict(source, target)
                    if verdict is not Verdict.UNKNOWN:
                        ends = _realm(Party.of(source)), _realm(Party.of(target))
                        expected[(*ends, port, protocol, family)].add(verdict)
        assert said == expected, seed
        mixed += sum(len(verdicts) == 2 for verdicts in said.values())
    assert mixed > CLUSTERS, "hardly any namespace was open in part"


def _realm(party: Party) -> str:
    return party.namespace or party.name
