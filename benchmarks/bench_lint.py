"""Lint on synthetic clusters: every rule, and the slowest one by itself.

    python benchmarks/bench_lint.py [--quick]

Times are CPU times. The shapes: "replicas" has many namespaces; "skewed" has two; "alike" has two, all pods
and selectors share a label, and half of the policies select every pod, so that nearly every policy might
cover every other. Each app has a Service.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.synthetic import seeded, synthetic
from netprobe.lint import Known, View, catalogue, lint
from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.flow import ServiceRef
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import Subject

SIZES = [  # pods, policies, namespaces, shape
    (1000, 500, 50, "replicas"),
    (10000, 4000, 200, "replicas"),
    (10000, 4000, 2, "skewed"),
    (10000, 4000, 2, "alike"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark of lint")
    parser.add_argument("--quick", action="store_true", help="only the small size")
    options = parser.parse_args()
    catalogue()
    print("  pods  policies  namespaces     shape  findings  lint s  slowest rule      s")
    for pods, policies, namespaces, shape in SIZES[:1] if options.quick else SIZES:
        cluster = shaped(pods, policies, namespaces, shape)
        began = process_time()
        found = lint(View(cluster, Known(namespaces=frozenset(cluster.namespaces))))
        took = process_time() - began
        slowest, longest = by_rule(cluster)
        print(
            f"{pods:6}  {policies:8}  {namespaces:10}  {shape:>8}  {len(found.findings):8}  {took:6.2f}  "
            f"{slowest:16}  {longest:.2f}",
            flush=True,
        )
    return 0


def shaped(pods: int, policies: int, namespaces: int, shape: str) -> Cluster:
    cluster = synthetic(pods, policies, namespaces)
    if shape == "alike":
        rng = seeded(5)
        shared = {"a/part-of": "shop"}
        cluster = replace(
            cluster,
            pods={ref: replace(pod, labels={**shared, **pod.labels}) for ref, pod in cluster.pods.items()},
            policies=tuple(
                replace(
                    policy,
                    subject=Subject(
                        EVERYTHING
                        if rng.random() < 0.5
                        else Selector.of({**shared, **dict(policy.subject.pods.match_labels)})
                    ),
                )
                for policy in cluster.policies
            ),
        )
    return replace(cluster, services=services(cluster))


def services(cluster: Cluster) -> dict[ServiceRef, Service]:
    """One for each app; 443 leads to the pods' port, or, for every other one, nowhere."""
    found: dict[ServiceRef, Service] = {}
    for pod in cluster.pods.values():
        app = pod.labels["app"]
        ref = ServiceRef(pod.ref.namespace, app)
        if ref not in found:
            address = IPv4Address(int(IPv4Address("172.20.0.1")) + len(found))
            target = 8443 if len(found) % 2 else pod.ports[0].number
            ports = (ServicePort(80, "main"), ServicePort(443, target))
            found[ref] = Service(ref, {"app": app}, (address,), ports)
    return found


def by_rule(cluster: Cluster) -> tuple[str, float]:
    """The slowest rule on a fresh view, and its seconds."""
    view = View(cluster, Known(namespaces=frozenset(cluster.namespaces)))
    times = {}
    for rule in catalogue().values():
        began = process_time()
        for _ in rule.check(view):
            pass
        times[rule.id] = process_time() - began
    slowest = max(times, key=lambda name: times[name])
    return slowest, times[slowest]


if __name__ == "__main__":
    sys.exit(main())
