"""What an expectation declares: the default, rows from coarse to fine, and rows that say nothing."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.flow import ContainerPort, External, Flow, Pod, PodRef, Protocol, ServiceRef, Via
from netprobe.model.verdict import Verdict
from netprobe.suite import Declaration, Expectation
from tests.conftest import Answers
from tests.suite.conftest import LoadSuite, Problems
from tests.suite.random_suites import expectation, sound, world
from tests.suite.random_suites import problems as wrong_rows


def table(suite: LoadSuite, expect: str) -> list[str]:
    """The declared flows as `SOURCE -> DESTINATION PORT/PROTOCOL MARK`, in their order."""
    found = suite(f"expect: {expect}\n")
    (moment,) = found.moments()
    assert all(
        isinstance(flow.destination, External) is (flow.via is Via.EXTERNAL) for flow in moment.declared
    )
    return [f"{flow} {verdict.mark}" for flow, verdict in moment.declared.items()]


def test_a_row(suite: LoadSuite, answers: Answers) -> None:
    answers("rows.txt", lambda row: table(suite, f"{{flows: [{row}]}}"))


def test_the_default_is_every_pair_on_every_declared_port(suite: LoadSuite) -> None:
    found = table(suite, "{default: deny}")
    # 4 pods and 2 hosts; towards web, db, 2 x dns, partner
    assert len(found) == 5 * 2 + 5 * 1 + 2 * (5 * 2) + 4 * 1
    assert len(set(found)) == len(found)
    assert {line[-1] for line in found} == {"X"}
    assert not any("partner -> partner" in line or "stranger -> partner" in line for line in found)
    assert found[:2] == ["a/web -> a/db 5432/TCP X", "a/web -> b/dns-0 53/UDP X"]


def test_a_later_row_overrides_an_earlier_one(suite: LoadSuite) -> None:
    rows = (
        "{from: '*/*', to: '*/*', port: 80, verdict: deny}, {from: a/db, to: a/web, port: 80, verdict: allow}"
    )
    found = table(suite, f"{{flows: [{rows}]}}")
    assert [line for line in found if line.endswith(".")] == ["a/db -> a/web 80/TCP ."]
    assert len(found) == 4 * 3


def test_all_such_rows_are_reported_at_once(problems: Problems) -> None:
    rows = "{from: a/x, to: a/y, verdict: deny}, {from: a/web, to: a/z, verdict: deny}"
    found = [line.split(": ")[1] for line in problems(f"expect: {{flows: [{rows}]}}\n")]
    assert found == ["expect.flows[0].from", "expect.flows[0].to", "expect.flows[1].to"]


V4, V6 = ip_address("10.0.0.1"), ip_address("fd00::1")


def cluster(*pods: Pod) -> Cluster:
    return Cluster(pods={pod.ref: pod for pod in pods})


@pytest.mark.parametrize(
    ("source", "destination", "family"),
    [
        ((V4,), (V4,), 4),
        ((V4, V6), (V6,), 6),
        ((V4, V6), (V4, V6), None),
        ((), (), None),
        ((), (V6,), 6),
        ((V4,), (V6,), None),
    ],
)
def test_a_flow_has_the_only_family_in_common(
    source: tuple[object, ...], destination: tuple[object, ...], family: int | None
) -> None:
    one = Pod(PodRef("n", "one"), {}, source)  # type: ignore[arg-type]
    other = Pod(PodRef("n", "other"), {}, destination, (ContainerPort(80),))  # type: ignore[arg-type]
    (flow,) = Declaration(Expectation(Verdict.DENY), cluster(one, other)).matrix()
    assert flow.family == family


def test_rows_may_name_workloads_and_services_of_a_live_cluster(suite: LoadSuite) -> None:
    found = suite(
        """\
        expect:
          flows:
            - {from: shop/web, to: "svc:shop/cart", verdict: allow}
            - {from: shop/web, to: shop/cart, port: 8080, verdict: deny}
        """,
        topology=False,
    )
    assert found.topology is None
    pods = [
        Pod(PodRef("shop", "web-5d4f-x"), {}, workload="Deployment/web"),
        Pod(PodRef("shop", "cart-0"), {}, workload="StatefulSet/cart"),
    ]
    service = Service(
        ServiceRef("shop", "cart"), ports=(ServicePort(80, 8080), ServicePort(53, 53, Protocol.UDP))
    )
    live = Cluster(pods={pod.ref: pod for pod in pods}, services={service.ref: service})
    (moment,) = found.moments(live)
    matrix = moment.declared
    assert [f"{flow} {flow.via.value} {verdict.mark}" for flow, verdict in matrix.items()] == [
        "shop/web-5d4f-x -> svc:shop/cart 80/TCP service .",
        "shop/web-5d4f-x -> svc:shop/cart 53/UDP service .",
        "shop/web-5d4f-x -> shop/cart-0 8080/TCP pod X",
    ]
    with pytest.raises(InputError, match="matches nothing"):
        found.moments(Cluster())


@pytest.mark.parametrize(("default", "rest"), [("default: deny, ", "default"), ("", None)])
def test_a_flow_is_declared_by_a_row_a_pattern_or_the_default(
    default: str, rest: str | None, suite: LoadSuite
) -> None:
    rows = "{from: '*/*', to: a/db, verdict: allow}, {from: a/web, to: a/db, verdict: allow}"
    (moment,) = suite(f"expect: {{{default}flows: [{rows}]}}\n").moments()
    by = {
        (one, to): moment.declared_by(Flow(PodRef("a", one), PodRef("a", to), port, family=4))
        for one, to, port in (("web", "db", 5432), ("db", "web", 80))
    }
    assert by == {("web", "db"): "row", ("db", "web"): rest}
    assert moment.declared_by(Flow(PodRef("b", "dns-0"), PodRef("a", "db"), 5432)) == "pattern"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_a_row_is_overridden_where_later_rows_name_all_of_its_flows(seed: int) -> None:
    """Rows are checked by bits; here they are listed flow by flow."""
    rng = Random(seed)  # noqa: S311 (no secret)
    cluster = world(rng)
    expected = sound(expectation(rng), cluster)
    winner: dict[Flow, int] = {}
    flows_of = []
    for number, row in enumerate(expected.rows):
        flows = list(Declaration(replace(expected, default=None, rows=(row,)), cluster).matrix())
        flows_of.append(flows)
        winner |= dict.fromkeys(flows, number)
    useless = {}
    for number, flows in enumerate(flows_of):
        if number not in set(winner.values()):
            later = sorted({winner[flow] for flow in flows})
            useless[expected.rows[number].path] = ", ".join(expected.rows[other].path for other in later)
    found = {one.path: one.message.partition(": ")[2] for one in wrong_rows(expected, cluster)}
    assert found == useless
