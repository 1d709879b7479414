"""Pods that behave alike share a line; a matrix stays small enough to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from netprobe.diff import Row, compare
from netprobe.model.flow import Flow, PodRef
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Decision, Verdict
from netprobe.report.grouped import alike
from netprobe.report.style import Style
from netprobe.report.table import matrix_lines

ALLOW, DENY = Decision(Verdict.ALLOW), Decision(Verdict.DENY)


def all_pairs(
    names: list[str], denied: Callable[[str, str], bool], namespaces: Sequence[str] = ("n",)
) -> tuple[Row, ...]:
    ends = [PodRef(namespace, name) for namespace in namespaces for name in names]
    return compare(
        None,
        Matrix(
            (Flow(one, other, 80), DENY if denied(one.name, other.name) else ALLOW)
            for one in ends
            for other in ends
            if one != other
        ),
    )


def test_each_column_has_its_name_and_the_pods_their_order() -> None:
    rows = all_pairs(["b", "a", "c"], lambda one, other: other == "c" and one == "b")
    assert list(matrix_lines(rows)) == [
        "Sources down, destinations across: . allow, X deny, ? unknown, ! not as expected",
        "",
        "     | n/b 80",
        "     | | n/a 80",
        "     | | | n/c 80",
        "n/b    . X",
        "n/a  .   .",
        "n/c  . .",
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_is_never_wider_than_the_terminal(width: int) -> None:
    rows = tuple(
        row
        for number in range(3)
        for row in all_pairs(
            [f"pod-{i}" for i in range(9)], lambda *_: False, [f"namespace-{number}", "other"]
        )
    )
    lines = [line for text in matrix_lines(rows, Style(width=width)) for line in text.splitlines()]
    assert max(map(len, lines)) <= width
    collapsed = any(line.lstrip("| ").startswith("other 80") for line in lines)
    assert collapsed is (width < 120)


def test_a_namespace_whose_pods_differ_is_marked() -> None:
    rows = all_pairs([f"p{i}" for i in range(60)], lambda one, _: one == "p7")
    legend, _, column, cells = matrix_lines(rows, Style(width=80))
    assert legend.endswith(", * differs from pod to pod")
    assert (column, cells) == ("   | n 80", "n  *")


def test_pods_that_differ_in_one_flow_only_are_distinguished() -> None:
    names = [f"p{i}" for i in range(25)]
    rows = all_pairs(names, lambda one, other: (one, other) == ("p3", "p7"))
    classes = alike(rows)
    by_class = {number: [e for e, n in classes.items() if n == number] for number in classes.values()}
    assert sorted(map(len, by_class.values())) == [1, 1, 23]
