"""Pods that behave alike share a line; a matrix stays small enough to read."""

from __future__ import annotations

from collections.abc import Callable

from netprobe.diff import Row, compare
from netprobe.model.flow import Flow, PodRef
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Decision, Verdict
from netprobe.report.alike import alike, groups
from netprobe.report.table import matrices

ALLOW, DENY = Decision(Verdict.ALLOW), Decision(Verdict.DENY)


def all_pairs(names: list[str], denied: Callable[[str, str], bool]) -> tuple[Row, ...]:
    return compare(
        None,
        Matrix(
            (Flow(PodRef("n", one), PodRef("n", other), 80), DENY if denied(one, other) else ALLOW)
            for one in names
            for other in names
            if one != other
        ),
    )


def test_few_pods_are_drawn_each_for_itself() -> None:
    rows = all_pairs(["a", "b", "c"], lambda one, other: other == "c" and one == "b")
    assert list(matrices(rows)) == [
        "Sources down, destinations across: . allow, X deny, ? unknown, * differs from pod to pod",
        "",
        "Port 80",
        "          1  2  3",
        "  1 n/a      .  .",
        "  2 n/b   .     X",
        "  3 n/c   .  .",
    ]


def test_many_pods_share_lines() -> None:
    names = [f"{kind}{i}" for kind in "xyz" for i in range(10)]
    rows = all_pairs(names, lambda one, other: other[0] == "z" and one[0] != "y")
    assert list(matrices(rows))[3:] == [
        "              1  2  3",
        "  1 n/x0 +9   .  .  X",
        "  2 n/y0 +9   .  .  .",
        "  3 n/z0 +9   .  .  X",
    ]
    found = [(g.source, g.destination, g.result.value, g.flows) for g in groups(rows)]
    assert ("n/y0 +9", "n/z0 +9", "allow", 100) in found
    assert ("n/z0 +9", "n/z0 +9", "deny", 90) in found
    assert sum(flows for *_, flows in found) == len(rows) == 30 * 29


def test_pods_that_differ_in_one_flow_only_are_distinguished() -> None:
    names = [f"p{i}" for i in range(25)]
    rows = all_pairs(names, lambda one, other: (one, other) == ("p3", "p7"))
    classes = alike(rows)
    by_class = {number: [e for e, n in classes.items() if n == number] for number in classes.values()}
    assert sorted(map(len, by_class.values())) == [1, 1, 23]


def test_what_differs_inside_a_class_is_marked() -> None:
    # Each reaches its right neighbour alone: everybody behaves alike, and no cell is of one kind.
    names = [f"p{i}" for i in range(24)]
    rows = all_pairs(names, lambda one, other: (int(one[1:]) + 1) % 24 != int(other[1:]))
    assert list(matrices(rows))[3:] == ["               1", "  1 n/p0 +23   *"]


def test_a_matrix_that_nobody_could_read_is_not_drawn() -> None:
    names = [f"p{i}" for i in range(50)]
    rows = all_pairs(names, lambda one, other: int(one[1:]) < int(other[1:]))
    drawn = list(matrices(rows))
    assert drawn[3:] == ["  50 x 50 kinds of pod: too wide to draw; select some with --from and --to"]
