"""Which ends share a box, and which arrows share one: exactly those that say the same."""

from __future__ import annotations

import itertools
import random

import pytest

from netprobe.model.verdict import Verdict
from netprobe.report.graph import Graph, GraphOptions
from netprobe.report.graph.elements import Anchor, ArrowLabel, EndName, by_pair
from netprobe.report.graph.grouping import cell_key, group_label, representatives
from tests.report.graph.samples import FlowCell, arrows, build, cell, everybody

REPLICAS = {EndName("a", f"web-{number}"): "web" for number in range(3)}
WEBS = [str(pod) for pod in REPLICAS]


def groups(cells: list[FlowCell], *, across_workloads: bool | None = True) -> set[frozenset[str]]:
    """The groups with more than one member."""
    firsts = representatives(by_pair(cells), REPLICAS, across_workloads=across_workloads)
    by_first = {
        first: frozenset(str(end) for end, one in firsts.items() if one == first) for first in firsts.values()
    }
    return {group for group in by_first.values() if len(group) > 1}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param([cell(w, "b/x") for w in WEBS], [WEBS], id="the same target, nothing between them"),
        pytest.param(everybody(WEBS), [WEBS], id="each other"),
        pytest.param([cell("a/p", "b/x", 80), cell("a/q", "b/x", 81)], [], id="different ports"),
        pytest.param(
            [cell("a/p", "b/x"), cell("a/q", "b/x", declared=Verdict.DENY)], [], id="one is not as expected"
        ),
        pytest.param(
            [cell("a/p", "b/x"), cell("a/q", "b/x"), cell("a/p", "a/p")], [], id="one has a flow to itself"
        ),
    ],
)
def test_alike(cells: list[FlowCell], expected: list[list[str]]) -> None:
    assert groups(cells) == {frozenset(group) for group in expected}


def test_groups_of_pods_that_are_alike_become_one() -> None:
    """Each stands for several pods that reach each other; a single pod can belong to them."""
    pods = {EndName("a", "p"), EndName("a", "q")}
    cells = [cell(s, d) for s in ("a/p", "a/q", "a/r") for d in ("a/p", "a/q", "a/r") if s != d or s != "a/r"]
    assert len(set(representatives(by_pair(cells), {}, across_workloads=True, groups=pods).values())) == 1
    others = [cell(s, d, 80 if s != d else 81) for s in ("a/p", "a/q") for d in ("a/p", "a/q")]
    assert len(set(representatives(by_pair(others), {}, across_workloads=True, groups=pods).values())) == 2


def test_only_replicas_share_a_box_while_there_is_room() -> None:
    cells = [cell(pod, "b/x") for pod in (*WEBS, "a/other")]
    assert groups(cells, across_workloads=None) == {frozenset(WEBS)}
    many = [cell(f"a/p{number}", "b/x") for number in range(40)]
    assert max(map(len, groups(many, across_workloads=None))) == 40


def test_ends_are_alike_if_and_only_if_they_can_be_swapped() -> None:
    """The definition, by brute force on random matrices."""
    choose = random.Random(5)  # noqa: S311 (reproducible, not secret)
    merged = 0
    for _ in range(100):
        ends = [f"{'ab'[number % 2]}/p{number}" for number in range(choose.randint(2, 6))]
        verdicts = [Verdict.ALLOW] * choose.randint(1, 9) + [Verdict.DENY]
        cells = [cell(s, d, simulated=choose.choice(verdicts)) for s, d in itertools.permutations(ends, 2)]
        firsts = representatives(by_pair(cells), {}, across_workloads=True)
        for one, other in itertools.combinations(firsts, 2):
            swap = {one: other, other: one}
            matrix = {(source, to, cell_key(one)) for source, to, one in cells}
            swapped = {(swap.get(s, s), swap.get(d, d), key) for s, d, key in matrix}
            can_be_swapped = one.namespace == other.namespace and swapped == matrix
            assert (firsts[one] == firsts[other]) is can_be_swapped, (one, other, cells)
            merged += can_be_swapped
    assert merged > 20, "hardly any two ends were alike"


@pytest.mark.parametrize(
    ("names", "workload", "expected"),
    [
        (["web"], None, "web"),
        (["web-7d-x", "web-7d-y"], "web", "web"),
        (["web-0", "web-1"], None, "web-*"),
        (["cart", "stock"], None, "cart, stock"),
        (["cart", "stock", "tax"], None, "cart +2"),
        (["web", "webhook"], None, "web, webhook"),
    ],
)
def test_the_label_of_several_pods(names: list[str], workload: str | None, expected: str) -> None:
    assert group_label(names, workload) == expected


BUNDLED = [
    pytest.param(
        [cell(f"a/{n}", "b/x") for n in "123"] + [cell("b/prom", f"a/{n}", 9090) for n in "123"],
        {"every pod of a > b/x 80", "b/prom > every pod of a 9090"},
        id="a whole namespace",
    ),
    pytest.param(
        [cell(f"{space}/{n}", "dns/dns", 53) for space in "abcd" for n in "12"]
        + [cell("internet", "dns/dns", 53), cell("z/closed", "a/1", 1)],
        {"everyone except z > dns/dns 53", "z/closed > a/1 1"},
        id="everyone, except those that cannot",
    ),
    pytest.param(
        [cell("a/1", "b/x"), cell("a/2", "b/x")], {"a/1 > b/x 80", "a/2 > b/x 80"}, id="two are too few"
    ),
]


@pytest.mark.parametrize(("cells", "expected"), BUNDLED)
def test_bundled_arrows(cells: list[FlowCell], expected: set[str]) -> None:
    assert arrows(build(cells, GraphOptions(bundle=True))) == expected


def nodes_of(graph: Graph, anchor: Anchor) -> list[int]:
    """The nodes that an end of an arrow stands for, as docs/graph.md says."""
    if anchor.node is not None:
        return [anchor.node]
    if anchor.namespace is not None:
        return graph.nodes_in(anchor.namespace)
    hosts = graph.nodes_in(None) if anchor.outside else []
    return [i for i, node in enumerate(graph.nodes) if node.namespace not in {None, *anchor.excluded}] + hosts


def single_arrows(graph: Graph) -> set[tuple[int, int, ArrowLabel]]:
    return {
        (source, target, edge.label)
        for edge in graph.edges
        for source in nodes_of(graph, edge.source)
        for target in nodes_of(graph, edge.target)
        if source != target
        and not (graph.nodes[source].namespace is None and graph.nodes[target].namespace is None)
    }


def test_bundling_never_adds_or_loses_a_flow() -> None:
    """On random graphs that are nearly complete, so that every rule is used."""
    choose = random.Random(11)  # noqa: S311 (reproducible, not secret)
    used: set[tuple[str, str]] = set()
    for _ in range(60):
        ends = [EndName(choose.choice("abcd"), f"p{n}") for n in range(choose.randint(3, 14))]
        ends += [EndName(None, f"host{n}") for n in range(choose.randint(0, 2))]
        gaps = choose.choice([0.0, 0.02, 0.1])
        closed = choose.choice("abcdx")
        cells = [
            cell(str(s), str(d), 80)
            for s, d in itertools.permutations(ends, 2)
            if not (s.namespace is None and d.namespace is None)
            if choose.random() >= gaps and s.namespace != closed
        ]
        single = build(cells, GraphOptions(bundle=False, group=False))
        bundled = build(cells, GraphOptions(bundle=True, group=False))
        assert single_arrows(single) == single_arrows(bundled)
        assert len(bundled.edges) <= len(single.edges)
        used |= {(_kind(edge.source), _kind(edge.target)) for edge in bundled.edges}
    one_or_all = set(itertools.product(("node", "namespace", "everyone"), ("node", "namespace")))
    assert one_or_all <= used


def _kind(anchor: Anchor) -> str:
    return "everyone" if anchor.is_everyone else "node" if anchor.node is not None else "namespace"
