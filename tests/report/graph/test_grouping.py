"""Who is put together, and who is not."""

from __future__ import annotations

import itertools
import random

import pytest

from netprobe.model.verdict import Verdict
from netprobe.report.graph import Cell, EndName
from netprobe.report.graph.grouping import cell_key, group_label, representatives
from tests.report.graph.samples import cell, everybody

REPLICAS = {EndName("a", f"web-{number}"): "web" for number in range(3)}
WEBS = [str(pod) for pod in REPLICAS]


def groups(cells: list[Cell], *, everybody: bool | None = True) -> set[frozenset[str]]:
    """The groups of more than one."""
    leaders = representatives(cells, REPLICAS, across_workloads=everybody)
    found = {
        leader: frozenset(str(e) for e, one in leaders.items() if one == leader)
        for leader in leaders.values()
    }
    return {group for group in found.values() if len(group) > 1}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param([cell(w, "b/x") for w in WEBS], [WEBS], id="the same target, nothing between them"),
        pytest.param(everybody(WEBS), [WEBS], id="each other"),
        pytest.param(
            [cell("a/p", "b/x"), cell("a/q", "b/y", 81)], [], id="one target each: as many, but not the same"
        ),
        pytest.param(
            [cell("a/p", "c/z"), cell("b/q", "c/z")], [], id="the same, but in different namespaces"
        ),
        pytest.param([cell("a/p", "b/x", 80), cell("a/q", "b/x", 81)], [], id="different ports"),
        pytest.param(
            [cell("a/p", "a/q"), cell("a/q", "a/p", simulated=Verdict.DENY)],
            [],
            id="one way only between the two",
        ),
        pytest.param(
            [cell("a/p", "b/x"), cell("a/q", "b/x", declared=Verdict.DENY)],
            [],
            id="one of them not as expected",
        ),
        pytest.param(
            [cell("a/p", "b/x"), cell("a/q", "b/x"), cell("a/p", "a/p")], [], id="one is asked about itself"
        ),
    ],
)
def test_alike(cells: list[Cell], expected: list[list[str]]) -> None:
    assert groups(cells) == {frozenset(group) for group in expected}


def test_crowds_that_are_alike_become_one() -> None:
    """Each stands for several that reach each other; a single pod can belong to them."""
    cells = [cell(s, d) for s in ("a/p", "a/q", "a/r") for d in ("a/p", "a/q", "a/r") if s != d or s != "a/r"]
    groups_of_pods = {EndName("a", "p"), EndName("a", "q")}
    leaders = representatives(cells, {}, across_workloads=True, groups=groups_of_pods)
    assert set(leaders.values()) == {EndName("a", "p")}
    others = [cell(s, d, 80 if s != d else 81) for s in ("a/p", "a/q") for d in ("a/p", "a/q")]
    assert len(set(representatives(others, {}, across_workloads=True, groups=groups_of_pods).values())) == 2


def test_only_replicas_are_put_together_while_there_is_room() -> None:
    cells = [cell(pod, "b/x") for pod in (*WEBS, "a/other")]
    assert groups(cells, everybody=None) == {frozenset(WEBS)}
    many = [cell(f"a/p{number}", "b/x") for number in range(40)]
    assert max(map(len, groups(many, everybody=None))) == 40


def test_alike_ends_can_be_exchanged_in_any_matrix() -> None:
    """The definition, by brute force: exchanging two members of a group leaves the matrix as it is, and no
    two ends of different groups can be exchanged."""
    choose = random.Random(5)  # noqa: S311 (reproducible, not secret)
    merged = 0
    for _ in range(300):
        ends = [f"{'ab'[number % 2]}/p{number}" for number in range(choose.randint(2, 6))]
        verdicts = [Verdict.ALLOW] * choose.randint(1, 9) + [Verdict.DENY]
        cells = [cell(s, d, simulated=choose.choice(verdicts)) for s, d in itertools.permutations(ends, 2)]
        leaders = representatives(cells, {}, across_workloads=True)
        for one, other in itertools.combinations(leaders, 2):
            swap = {one: other, other: one}
            matrix = {(c.source, c.destination, cell_key(c)) for c in cells}
            swapped = {(swap.get(s, s), swap.get(d, d), what) for s, d, what in matrix}
            exchangeable = one.namespace == other.namespace and swapped == matrix
            assert (leaders[one] == leaders[other]) is exchangeable, (one, other, cells)
            merged += exchangeable
    assert merged > 50, "hardly any two ends were alike"


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
def test_what_several_pods_are_called(names: list[str], workload: str | None, expected: str) -> None:
    assert group_label(names, workload) == expected
