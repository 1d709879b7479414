"""What is drawn, and with which words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from netprobe.diff import Mismatch
from netprobe.model.flow import Family, Protocol
from netprobe.model.verdict import Verdict
from netprobe.report.graph import Denied, DrawnTable, GraphOptions
from netprobe.report.graph.elements import EndName, GraphCell
from tests.report.graph.samples import FlowCell, arrows, build, cell

ALLOW, DENY, UNKNOWN = Verdict.ALLOW, Verdict.DENY, Verdict.UNKNOWN


DEFAULT = GraphOptions()
X, Y = EndName("a", "x"), EndName("b", "y")


def drawn(cells: Sequence[FlowCell], wanted: GraphOptions = DEFAULT) -> set[str]:
    return arrows(build(cells, wanted))


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        (Denied.ROWS, {"a/x > b/named 80", "a/x > b/wide 80"}),
        (Denied.NAMED, {"a/x > b/named 80"}),
        (Denied.ALL, {"a/x > b/named 80", "a/x > b/wide 80", "a/x > b/default 80", "a/x > b/undeclared 80"}),
        (Denied.NONE, set()),
    ],
)
def test_which_denied_flows_are_drawn(denied: Denied, expected: set[str]) -> None:
    cells = [
        cell("a/x", "b/named", simulated=DENY, declared=DENY, declared_by="row"),
        cell("a/x", "b/wide", simulated=DENY, declared=DENY, declared_by="pattern"),
        cell("a/x", "b/default", simulated=DENY, declared=DENY),
        cell("a/x", "b/undeclared", simulated=DENY),
    ]
    assert drawn(cells, GraphOptions(denied=denied)) == expected


WRONG = [  # declared, simulated, observed, what is drawn by each view
    pytest.param(
        DENY, ALLOW, None, {"result": "80 (declared deny)", "declared": "", "simulated": "80 (declared deny)"}
    ),
    pytest.param(ALLOW, DENY, None, {"result": "80 (declared allow)", "declared": "80"}),
    pytest.param(None, DENY, ALLOW, {"result": "80 (policies: deny)", "observed": "80 (policies: deny)"}),
    pytest.param(DENY, DENY, ALLOW, {"result": "80 (declared deny)", "simulated": ""}),
    pytest.param(DENY, ALLOW, DENY, {"result": "80 (policies: allow)", "simulated": "80 (declared deny)"}),
    pytest.param(ALLOW, ALLOW, UNKNOWN, {"result": "80 unknown", "simulated": "80", "declared": "80"}),
]


@pytest.mark.parametrize(("declared", "simulated", "observed", "expected"), WRONG)
def test_what_is_not_as_expected_is_drawn_and_says_so(
    declared: Verdict | None, simulated: Verdict, observed: Verdict | None, expected: dict[str, str]
) -> None:
    pairs = {
        Mismatch.DECLARED_SIMULATED: (declared, simulated),
        Mismatch.DECLARED_OBSERVED: (declared, observed),
        Mismatch.SIMULATED_OBSERVED: (simulated, observed),
    }
    differs = tuple(kind for kind, pair in pairs.items() if set(pair) == {ALLOW, DENY})
    one = GraphCell(
        80,
        declared=declared,
        simulated=simulated,
        observed=observed,
        mismatches=differs,
    )
    for view, text in expected.items():
        assert drawn([(X, Y, one)], GraphOptions(DrawnTable(view))) == (
            {f"a/x > b/y {text}"} if text else set()
        ), view


def test_ports_are_in_order_and_many_are_counted() -> None:
    few = [cell("a/x", "b/y", port) for port in (443, 80, 8080)]
    assert drawn(few) == {"a/x > b/y 80, 443, 8080"}
    many = [cell("a/x", "b/y", port) for port in range(1, 11)]
    assert drawn(many) == {"a/x > b/y 1, 2, 3, 4, 5 and 5 more"}


def test_protocol_and_family_are_reported_if_they_matter() -> None:
    def one(port: int, family: Family | None, protocol: Protocol = Protocol.TCP) -> FlowCell:
        return X, Y, GraphCell(port, protocol, family, simulated=ALLOW)

    assert drawn([one(53, 4, Protocol.UDP)]) == {"a/x > b/y 53/UDP"}
    assert drawn([one(80, 4), one(443, 6), one(22, None)]) == {"a/x > b/y 22, 80 IPv4, 443 IPv6"}


def test_by_namespace_a_port_that_only_some_may_use_says_so() -> None:
    cells = [cell("a/1", "b/x", 80), cell("a/2", "b/x", 80)]
    cells += [cell("a/1", "b/x", 443), cell("a/2", "b/x", 443, DENY)]
    assert drawn(cells, GraphOptions(by_namespace=True)) == {"a/2 pods > b/1 pod 80, 443 some"}


def test_too_many_boxes_become_namespaces_and_a_note() -> None:
    cells = [cell(f"{'ab'[n % 2]}/p{n}", f"c/q{n}", n + 1) for n in range(300)]
    graph = build(cells)
    assert [node.label for node in graph.nodes] == ["150 pods", "300 pods", "150 pods"]
    assert graph.notes == ("600 boxes are too many to draw: each box is a namespace",)


def test_a_filter_leaves_no_box_without_an_arrow() -> None:
    cells = [cell("a/x", "b/y"), cell("a/x", "c/z", simulated=DENY), cell("a/w", "b/y", simulated=DENY)]
    graph = build(cells, GraphOptions(drawn_only=True))
    assert [node.members for node in graph.nodes] == [("a/x",), ("b/y",)]
    assert graph.namespaces == ("a", "b")
    assert list(graph.cells) == [(0, 1)]
