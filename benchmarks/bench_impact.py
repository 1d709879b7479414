"""Impact on synthetic clusters: a few policies changed, all of them deleted, and what pair by pair costs.

    python benchmarks/bench_impact.py [--quick]

Times are CPU times. "few" changes one policy in a hundred, "all" deletes every one. The ratio is the time of
the obvious way, deciding every pair on every port in both states, over that of impact: one pair is timed on
a sample, and multiplied. "skewed" has two namespaces only.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.synthetic import seeded, synthetic
from netprobe.impact import Revision, Snapshot, impact, revise
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.simulate import Simulator

SIZES = [  # pods, policies, namespaces, kind
    (1000, 500, 50, "replicas"),
    (10000, 4000, 200, "replicas"),
    (10000, 4000, 2, "skewed"),
    (10000, 4000, 200, "distinct"),
]
SAMPLE = 2_000


def revisions(cluster: Cluster) -> dict[str, Revision]:
    old = Snapshot(cluster, frozenset(cluster.namespaces))
    some = cluster.policies[:: len(cluster.policies) // (len(cluster.policies) // 100)]
    changed = tuple(replace(policy, ingress=(), egress=policy.egress) for policy in some)
    return {
        "few": revise(old, Snapshot(Cluster(policies=changed))),
        "all": revise(old, Snapshot(Cluster()), delete=[policy.ref for policy in cluster.policies]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark of impact")
    parser.add_argument("--quick", action="store_true", help="only the small size")
    options = parser.parse_args()
    print("  pods  policies      kind  change  changed  bundles  impact s  obvious us/pair   ratio")
    for pods, policies, namespaces, kind in SIZES[:1] if options.quick else SIZES:
        cluster = synthetic(pods, policies, namespaces, distinct=kind == "distinct")
        for name, revision in revisions(cluster).items():
            began = process_time()
            found = impact(revision)
            took = process_time() - began
            each = obvious(revision)
            ports = sum(len(pod.ports) for pod in cluster.pods.values())
            ratio = each * (pods - 1) * ports / took
            print(
                f"{pods:6}  {policies:8}  {kind:>8}  {name:>6}  {len(revision.policies):7}  "
                f"{len(found.bundles):7}  {took:8.2f}  {1e6 * each:15.1f}  {ratio:6,.0f}",
                flush=True,
            )
    return 0


def obvious(revision: Revision) -> float:
    """Seconds to decide one flow in both states, on random pairs."""
    rng = seeded(3)
    before, after = Simulator(revision.before), Simulator(revision.after)
    refs = list(revision.after.pods)
    flows = [Flow(rng.choice(refs), rng.choice(refs), 8080, family=4) for _ in range(SAMPLE)]
    began = process_time()
    for flow in flows:
        before.decide(flow)
        after.decide(flow)
    return (process_time() - began) / SAMPLE


if __name__ == "__main__":
    sys.exit(main())
