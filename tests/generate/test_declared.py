"""The declared matrix by crowds is the matrix flow by flow."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.generate.declared import Declared, crowded
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, Pod, PodRef, Protocol
from netprobe.model.verdict import Verdict
from netprobe.suite import Declaration, Expectation, ExpectationRow
from netprobe.suite.ends import parse_end, parse_port
from tests.suite.random_suites import expectation, problems, sound, world


def flows(declared: Declared) -> dict[tuple[str, str, int, Protocol], tuple[Verdict, int | None]]:
    """Each flow that the crowds stand for, with its verdict and row."""
    found: dict[tuple[str, str, int, Protocol], tuple[Verdict, int | None]] = {}
    for column in declared.columns:
        taken = 0
        for share in column.shares:
            assert not share.sources & taken, "each source has one verdict"
            taken |= share.sources
            for number, crowd in enumerate(declared.crowds):
                if share.sources >> number & 1:
                    for source in crowd:
                        for destination in declared.crowds[column.destination]:
                            if source != destination:
                                key = (str(source), str(destination), column.port, column.protocol)
                                found[key] = (share.verdict, share.row)
    for flow, share in declared.itself.items():
        found[str(flow.source), str(flow.destination), flow.port, flow.protocol] = (share.verdict, share.row)
    return found


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_crowds_declare_what_flows_do(rng: Random) -> None:
    cluster = world(rng)
    expected = sound(expectation(rng), cluster)
    assert problems(expected, cluster, crowded) == problems(expected, cluster)
    if problems(expected, cluster):
        return
    matrix = Declaration(expected, cluster).matrix()
    found = flows(crowded(expected, cluster))
    assert {key: verdict for key, (verdict, _) in found.items()} == {
        _key(flow): verdict for flow, verdict in matrix.items()
    }
    for key, (_, row) in found.items():
        if row is not None:
            alone = replace(expected, default=None, rows=expected.rows[row : row + 1])
            assert key in set(map(_key, Declaration(alone, cluster).matrix()))


def _key(flow: Flow) -> tuple[str, str, int, Protocol]:
    return str(flow.source), str(flow.destination), flow.port, flow.protocol


def test_a_crowd_that_is_split_after_a_whole_one_keeps_its_own_number() -> None:
    pods = {ref: Pod(ref, {}) for ref in (PodRef("a", f"p{number}") for number in range(5))}

    def row(port: int, *sources: str) -> ExpectationRow:
        ends = tuple(parse_end(f"a/{source}") for source in sources)
        return ExpectationRow(ends, (parse_end("a/p3"),), (parse_port(port),), Verdict.ALLOW)

    rows = row(81, "p0"), row(80, "p0", "p1"), row(82, "p2")
    crowds = crowded(Expectation(None, rows), Cluster(pods=pods)).crowds
    assert sorted(map(len, crowds)) == [1, 1, 1, 1, 1]
