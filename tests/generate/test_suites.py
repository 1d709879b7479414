"""Random suites: what is proved by crowds holds flow by flow, and refusals are those flow by flow."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.generate import generate
from netprobe.generate.declared import Declared, declared_crowds
from netprobe.generate.proof import flows
from netprobe.generate.text import file_name, manifest
from netprobe.manifests import Reader, parse_policy
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, Pod, PodRef, Protocol
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from netprobe.suite import Declaration, Expectation, ExpectationRow
from netprobe.suite.ends import parse_end, parse_port
from tests.generate.flows import listed
from tests.suite.random_suites import expectation, problems, sound, world


def expanded(declared: Declared) -> dict[tuple[str, str, int, Protocol], tuple[Verdict, int | None]]:
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


def _key(flow: Flow) -> tuple[str, str, int, Protocol]:
    return str(flow.source), str(flow.destination), flow.port, flow.protocol


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_by_crowds_as_flow_by_flow_in_any_order(rng: Random) -> None:
    cluster = world(rng)
    expected = sound(expectation(rng), cluster)
    assert problems(expected, cluster, declared_crowds) == problems(expected, cluster)
    if problems(expected, cluster):
        return
    matrix, declared = Declaration(expected, cluster).matrix(), declared_crowds(expected, cluster)
    found = expanded(declared)
    assert {key: verdict for key, (verdict, _) in found.items()} == {
        _key(flow): verdict for flow, verdict in matrix.items()
    }
    for key, (_, row) in found.items():
        if row is not None:
            one_row = replace(expected, default=None, rows=expected.rows[row : row + 1])
            assert key in set(map(_key, Declaration(one_row, cluster).matrix()))
    denies = expected.default is Verdict.DENY
    made = generate(declared, cluster, denies_by_default=denies)
    alone = generate(listed(matrix, cluster), cluster, denies_by_default=denies)
    shuffled = listed(dict(rng.sample(list(matrix.items()), len(matrix))), cluster)
    assert generate(shuffled, cluster, denies_by_default=denies).policies == alone.policies
    assert bool(made.refusals) == bool(alone.refusals)
    assert flows(declared) == len(matrix)
    if made.refusals:
        assert not made.policies
        return
    texts = {file_name(one): manifest(one, [str(n) for n in range(9)], "suite.yaml") for one in made.policies}
    reader = Reader()
    read = [parse_policy(document) for name, text in texts.items() for document in reader.text(name, text)]
    assert read == [one.policy for one in made.policies]
    simulator = Simulator(replace(cluster, policies=tuple(read)))
    assert {flow: simulator.decide(flow).verdict for flow in matrix} == dict(matrix)


def test_a_crowd_that_is_split_after_a_whole_one_keeps_its_own_number() -> None:
    pods = {ref: Pod(ref, {}) for ref in (PodRef("a", f"p{number}") for number in range(5))}

    def row(port: int, *sources: str) -> ExpectationRow:
        ends = tuple(parse_end(f"a/{source}") for source in sources)
        return ExpectationRow(ends, (parse_end("a/p3"),), (parse_port(port),), Verdict.ALLOW)

    rows = row(81, "p0"), row(80, "p0", "p1"), row(82, "p2")
    crowds = declared_crowds(Expectation(None, rows), Cluster(pods=pods)).crowds
    assert sorted(map(len, crowds)) == [1, 1, 1, 1, 1]
