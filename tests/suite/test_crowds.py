"""The matrix by crowds is the matrix flow by flow, and the same rows are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import InputError, Problem
from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.declared import Declared
from netprobe.model.flow import ContainerPort, External, Flow, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.suite import Expectation, Row, crowded, resolve
from netprobe.suite.ends import parse_end
from netprobe.suite.ports import parse_ask

NAMES = ("web", "api", "web-1")
PATTERNS = (
    *(
        "*",
        "*/*",
        "a/*",
        "b/*",
        "a/web",
        "b/web",
        "a/api",
        "a/w*",
        "?/web-1",
        "a/app=web",
        "*/app=api",
        "b/front",
    ),
    *("partner", "str*", "203.0.113.9", "192.0.2.7", "10.0.0.1"),
)
TARGETS = (*PATTERNS, "svc:a/front")
PORTS = (None, 80, "metrics", "53/UDP", 9000)


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


def world(rng: Random) -> Cluster:
    pods = {}
    for number in range(rng.randint(2, 7)):
        ref = PodRef(rng.choice("ab"), f"{rng.choice(NAMES)}-{number}" if number else "web")
        ports = (
            ContainerPort(80),
            ContainerPort(9090, name="metrics"),
            ContainerPort(53, Protocol.UDP, "metrics"),
        )
        pods[ref] = Pod(
            ref,
            {"app": rng.choice(NAMES)},
            (ip_address(f"10.0.0.{number + 1}"),),
            tuple(rng.sample(ports, rng.randint(0, 3))),
            workload=rng.choice((None, "Deployment/front")),
        )
    service = ServiceRef("a", "front")
    return Cluster(
        pods=pods, services={service: Service(service, {"app": "web"}, (), (ServicePort(80, 80),))}
    )


def expectation(rng: Random) -> Expectation:
    def ends(patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(rng.sample(patterns, rng.choice((1, 1, 2))))

    rows = []
    for number in range(rng.randint(0, 9)):
        port = rng.choice(PORTS)
        rows.append(
            Row(
                tuple(map(parse_end, ends(PATTERNS))),
                tuple(map(parse_end, ends(TARGETS))),
                None if port is None else (parse_ask(port),),
                rng.choice((Verdict.ALLOW, Verdict.DENY)),
                path=f"expect.flows[{number}]",
            )
        )
    hosts = {
        External(ip_address("203.0.113.9"), "partner"): (ContainerPort(443),),
        External(ip_address("198.51.100.7"), "stranger"): (),
    }
    return Expectation(rng.choice((None, Verdict.ALLOW, Verdict.DENY)), tuple(rows), hosts)


def problems(
    read: Callable[[Expectation, Cluster], object], expected: Expectation, cluster: Cluster
) -> set[Problem]:
    try:
        read(expected, cluster)
    except InputError as error:
        return set(error.problems)
    return set()


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_crowds_declare_what_flows_do(rng: Random) -> None:
    cluster, expected = world(rng), expectation(rng)
    if rng.random() < 0.8:  # most rows of random patterns match nobody
        sound = [
            row for row in expected.rows if not problems(resolve, replace(expected, rows=(row,)), cluster)
        ]
        expected = replace(expected, rows=tuple(sound))
    assert problems(crowded, expected, cluster) == problems(resolve, expected, cluster)
    if problems(resolve, expected, cluster):
        return
    matrix = resolve(expected, cluster)
    found = crowded(expected, cluster)
    assert {key: verdict for key, (verdict, _) in flows(found).items()} == {
        (str(f.source), str(f.destination), f.port, f.protocol): verdict for f, verdict in matrix.items()
    }
    for key, (_, row) in flows(found).items():
        if row is not None:
            last = replace(expected, default=None, rows=expected.rows[: row + 1])
            named = {(str(f.source), str(f.destination), f.port, f.protocol) for f in _rows(last, cluster)}
            assert key in named


def _rows(expected: Expectation, cluster: Cluster) -> list[Flow]:
    alone = replace(expected, rows=expected.rows[-1:])
    return list(resolve(alone, cluster))


def test_pods_that_must_be_apart_are() -> None:
    pods = {PodRef("a", name): Pod(PodRef("a", name), {"app": name}) for name in NAMES}
    expected = Expectation(Verdict.DENY)
    assert len(crowded(expected, Cluster(pods=pods)).crowds) == 1
    assert len(crowded(expected, Cluster(pods=pods), lambda pod: pod.labels["app"]).crowds) == 3
