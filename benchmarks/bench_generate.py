"""Generate on synthetic declarations: from rows to policies that are proved, without any YAML.

    python benchmarks/bench_generate.py [--quick]

Times are CPU times. Each service calls three others, and one pod reads the metrics of all; the rest is
denied. The ratio is the time of deciding every declared flow one by one under the generated policies (timed
on a sample, and multiplied) over that of generate.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.synthetic import PORTS, seeded
from netprobe.generate import Generated, generate
from netprobe.generate.declared import declared_crowds
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from netprobe.suite import Expectation, ExpectationRow
from netprobe.suite.ends import parse_end, parse_port

SIZES = [(15, 4, 1), (200, 10, 1), (1000, 50, 1), (2500, 200, 4), (10000, 200, 1)]
"""Services, namespaces, replicas of each."""
FIRST = int(IPv4Address("10.0.1.0"))
SAMPLE = 2_000


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark of generate")
    parser.add_argument("--quick", action="store_true", help="only the small sizes")
    options = parser.parse_args()
    print("services  namespaces    pods        flows  policies  rows s  generate s      ratio")
    for services, namespaces, replicas in SIZES[:2] if options.quick else SIZES:
        cluster = world(services, namespaces, replicas)
        expected = expectation(services, namespaces)
        began = process_time()
        declared = declared_crowds(expected, cluster)
        read = process_time() - began
        began = process_time()
        made = generate(declared, cluster, denies_by_default=True)
        took = process_time() - began
        assert not made.refusals
        ratio = one_by_one(cluster, made) * made.flows / (read + took)
        print(
            f"{services:8}  {namespaces:10}  {len(cluster.pods):6}  {made.flows:11,}  "
            f"{len(made.policies):8}  {read:6.2f}  {took:10.2f}  {ratio:9,.0f}",
            flush=True,
        )
    return 0


def name(service: int, namespaces: int) -> str:
    return f"ns{service % namespaces}/svc{service}"


def world(services: int, namespaces: int, replicas: int) -> Cluster:
    pods: dict[PodRef, Pod] = {}
    for service in range(services):
        namespace, _, app = name(service, namespaces).partition("/")
        ports = (ContainerPort(PORTS[service % len(PORTS)]), ContainerPort(9100, name="metrics"))
        for number in range(replicas):
            ref = PodRef(namespace, f"{app}-{number}")
            address = IPv4Address(FIRST + len(pods))
            pods[ref] = Pod(ref, {"app": app}, (address,), ports, workload=f"Deployment/{app}")
    reader = PodRef("monitoring", "prometheus")
    pods[reader] = Pod(reader, {"app": "prometheus"}, (IPv4Address(FIRST + len(pods)),))
    return Cluster({ref.namespace: Namespace(ref.namespace, {}) for ref in pods}, pods)


def expectation(services: int, namespaces: int) -> Expectation:
    rng = seeded(1)
    rows = [
        ExpectationRow(
            (parse_end("monitoring/prometheus"),),
            (parse_end("*/*"),),
            (parse_port("metrics"),),
            Verdict.ALLOW,
        )
    ]
    for service in range(services):
        for other in rng.sample(range(services), 3):
            if other != service:
                ends = parse_end(name(service, namespaces)), parse_end(name(other, namespaces))
                asked = parse_port(PORTS[other % len(PORTS)])
                rows.append(ExpectationRow((ends[0],), (ends[1],), (asked,), Verdict.ALLOW))
    return Expectation(Verdict.DENY, tuple(rows))


def one_by_one(cluster: Cluster, made: Generated) -> float:
    """Seconds to decide one flow, on random pairs."""
    rng = seeded(3)
    simulator = Simulator(replace(cluster, policies=tuple(one.policy for one in made.policies)))
    refs = list(cluster.pods)
    pairs = [rng.sample(refs, 2) for _ in range(SAMPLE)]
    flows = [Flow(one, other, 9100, family=4) for one, other in pairs]
    began = process_time()
    for flow in flows:
        simulator.decide(flow)
    return (process_time() - began) / SAMPLE


if __name__ == "__main__":
    sys.exit(main())
