"""Rows of a large simulation to JSON, against `json.dumps` of each row, in one run.

python benchmarks/bench_report.py [PODS]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from netprobe.diff import Row
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy, PolicyRef, Rule, Subject
from netprobe.report.document import FlowLines, flow
from netprobe.survey import Survey, ask

NAMESPACES = 10
APPS = 10


def cluster(pods: int) -> Cluster:
    """Pods of ten apps in ten namespaces; in each, an app may be reached by the next one only."""
    names = [f"ns-{i}" for i in range(NAMESPACES)]
    made = [
        Pod(
            PodRef(names[i % NAMESPACES], f"pod-{i}"),
            {"app": f"app-{i // NAMESPACES % APPS}"},
            (IPv4Address(f"10.244.{i >> 8}.{i & 255}"),),
            (ContainerPort(80),),
        )
        for i in range(pods)
    ]
    policies = tuple(
        Policy(
            PolicyRef(name, f"app-{i}"),
            Subject(Selector.of({"app": f"app-{i}"})),
            ingress=(Rule((PodPeer(Selector.of({"app": f"app-{(i + 1) % APPS}"})),)),),
        )
        for name in names
        for i in range(APPS)
    )
    return Cluster({n: Namespace(n, {}) for n in names}, {pod.ref: pod for pod in made}, policies)


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    survey = Survey(ask(cluster(pods)))
    rows: list[Row] = []
    made = seconds(lambda: rows.extend(survey.rows()))
    write = FlowLines({})
    fast = seconds(lambda: [write(row) for row in rows])
    slow = seconds(lambda: [json.dumps(flow(row, {})) for row in rows])
    bundles = seconds(survey.overview)
    print(f"{len(rows):,} rows of {pods} pods, {len(survey.evaluation.groups)} groups, CPU time")
    for name, taken in (
        ("rows made", made),
        ("as JSON", fast),
        ("by json.dumps", slow),
        ("overview", bundles),
    ):
        print(f"{name:14} {taken:7.3f} s {taken / len(rows) * 1e6:7.2f} us a row")
    print(f"ratio json.dumps / ours: {slow / fast:.1f}")


if __name__ == "__main__":
    main()
