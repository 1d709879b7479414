"""The report of a large simulation in every format.

python benchmarks/bench_report.py [PODS]
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from ipaddress import IPv4Address

from netprobe.diff import FlowCounts
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy, PolicyRef, Rule, Subject
from netprobe.report import FORMATS
from netprobe.run.record import ClusterInfo, Report, ReportStep, RunInfo
from netprobe.run.steps import PairRows
from netprobe.simulate import AllPairs, read_question

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


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    survey = AllPairs(read_question(cluster(pods)))
    rows = tuple(PairRows(survey, changed_only=False))
    step = ReportStep("the policies", rows, FlowCounts.of(rows))
    report = Report(None, ClusterInfo(), RunInfo.since(datetime.now(UTC)), (step,))
    print(f"{len(rows):,} flows of {pods} pods, CPU time")
    for format_ in FORMATS.names:
        began = time.process_time()
        size = sum(map(len, FORMATS.render(report, format_)))
        taken = time.process_time() - began
        print(f"{format_:9} {taken:7.3f} s {taken / len(rows) * 1e6:7.2f} us a flow {size / 1e6:7.1f} MB")


if __name__ == "__main__":
    main()
