"""Random expectations on random small clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from random import Random

from netprobe.errors import InputError, Problem
from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.flow import ContainerPort, External, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.suite import Declaration, Expectation, ExpectationRow
from netprobe.suite.ends import parse_end, parse_port

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
            ExpectationRow(
                tuple(map(parse_end, ends(PATTERNS))),
                tuple(map(parse_end, ends(TARGETS))),
                None if port is None else (parse_port(port),),
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
    expected: Expectation, cluster: Cluster, read: Callable[[Expectation, Cluster], object] = Declaration
) -> set[Problem]:
    try:
        read(expected, cluster)
    except InputError as error:
        return set(error.problems)
    return set()


def sound(expected: Expectation, cluster: Cluster) -> Expectation:
    """The expectation without the rows that match nothing by themselves."""
    rows = [row for row in expected.rows if not problems(replace(expected, rows=(row,)), cluster)]
    return replace(expected, rows=tuple(rows))
