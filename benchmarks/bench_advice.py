"""Suggestions for the differences of a suite on synthetic clusters.

    python benchmarks/bench_advice.py [--quick]

Times are CPU times. 200 flows are declared against what the policies say, 2,000 as they say. "explain s" is
the time to explain the differences, "advice s" what suggestions add. The ratio is the time of as many full
evaluations of the cluster as there are differences, over "advice s": one is timed, for one port.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.synthetic import seeded, synthetic
from netprobe.explain import Advisor, explain
from netprobe.explain.declared import ListedFlows
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Simulator, evaluate

SIZES = [(1000, 500, 50, "replicas"), (10000, 4000, 200, "replicas"), (10000, 4000, 200, "distinct")]
DIFFERENCES, OTHERS = 200, 2_000
TURNED = {Verdict.ALLOW: Verdict.DENY, Verdict.DENY: Verdict.ALLOW}


def declaration(cluster: Cluster) -> tuple[dict[Flow, Verdict], list[Flow]]:
    """Flows with their declared verdicts, and those among them that differ."""
    rng, simulator = seeded(7), Simulator(cluster)
    pods = list(cluster.pods.values())
    declared: dict[Flow, Verdict] = {}
    differing: list[Flow] = []
    while len(declared) < DIFFERENCES + OTHERS:
        source, destination = rng.sample(pods, 2)
        flow = Flow(source.ref, destination.ref, rng.choice(destination.ports).number)
        verdict = simulator.decide(flow).verdict
        if len(differing) < DIFFERENCES and verdict is Verdict.DENY:
            differing.append(flow)
            verdict = TURNED[verdict]
        declared[flow] = verdict
    return declared, differing


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark of suggestions")
    parser.add_argument("--quick", action="store_true", help="only the small size")
    options = parser.parse_args()
    print("  pods  policies      kind  differences  suggested  explain s  advice s  evaluation s  ratio")
    for pods, policies, namespaces, kind in SIZES[:1] if options.quick else SIZES:
        cluster = synthetic(pods, policies, namespaces, distinct=kind == "distinct")
        declared, differing = declaration(cluster)
        simulator = Simulator(cluster)
        took = []
        for suggest in (False, True):
            advisor = Advisor(simulator, ListedFlows(declared))
            began = process_time()
            found = [explain(advisor, flow, suggest=suggest).change for flow in differing]
            took.append(process_time() - began)
        began = process_time()
        evaluate(cluster, CALICO).table(80, family=4).counts()
        each = process_time() - began
        advice = took[1] - took[0]
        suggested = sum(change is not None for change in found)
        print(
            f"{pods:6}  {policies:8}  {kind:>8}  {len(differing):11}  {suggested:9}  {took[0]:9.2f}"
            f"  {advice:8.2f}  {each:12.2f}  {DIFFERENCES * each / advice:5.1f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
