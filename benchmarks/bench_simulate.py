"""The simulator on synthetic clusters of several sizes: time, memory, and how an obvious evaluator compares.

    python benchmarks/bench_simulate.py [--quick] [--once PODS POLICIES NAMESPACES KIND]

"evaluate" is everything from the model to the answers: grouping, the tables of three ports, 60,000 random
look-ups. Times are CPU times: nothing here waits, and other work on the machine does not count. Each size
runs in a process of its own, so that its peak memory is its own. The obvious evaluator
(tests/property/obvious.py) asks every policy about every pair; it is timed in the same process on random
pairs, as many as fit in a second, and its time for one is multiplied to that for all.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.synthetic import mixed, seeded, synthetic
from netprobe.model.flow import Flow
from netprobe.simulate import evaluate
from tests.property.obvious import passes

SIZES = [  # pods, policies, namespaces, kind
    (100, 50, 10, "replicas"),
    (1000, 500, 50, "replicas"),
    (1000, 500, 50, "distinct"),
    (3000, 1200, 100, "replicas"),
    (10000, 4000, 200, "replicas"),
    (10000, 4000, 200, "distinct"),
    (10000, 4000, 200, "mixed"),
    (100000, 10000, 500, "pairs"),
]
PORTS = (80, 443, 8080)
LOOKUPS = 60_000
COLUMNS = (
    "pods",
    "policies",
    "namespaces",
    "kind",
    "groups",
    "group ms",
    "tables ms",
    "look-ups ms",
    "evaluate ms",
    "counts ms",
    "MiB",
    "obvious us/pair",
    "ratio",
)


def measure(pods: int, policies: int, namespaces: int, kind: str) -> dict[str, object]:
    """One size, in this process."""
    replicas = 2 if kind == "pairs" else 4
    cluster = synthetic(pods, policies, namespaces, replicas=replicas, distinct=kind == "distinct")
    if kind == "mixed":
        cluster = mixed(cluster, policies // 20, policies // 8)
    refs = list(cluster.pods)
    rng = seeded(2)
    pairs = [(rng.choice(refs), rng.choice(refs)) for _ in range(LOOKUPS)]
    gc.collect()
    before = process_time()
    evaluation = evaluate(cluster)
    grouped = process_time()
    tables = [evaluation.table(port) for port in PORTS]
    tabled = process_time()
    for index, (source, destination) in enumerate(pairs):
        tables[index % len(tables)].verdict(source, destination)
    looked = process_time()
    counts = [table.counts() for table in tables]
    counted = process_time()
    assert all(count.allow + count.deny == pods * (pods - 1) for count in counts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    obvious, compared = 0.0, 0
    while obvious < 1 and compared < LOOKUPS:
        source, destination = pairs[compared]
        began = process_time()
        expected = passes(cluster, Flow(source, destination, PORTS[0], family=4))
        obvious += process_time() - began
        assert (tables[0].verdict(source, destination).value == "allow") is expected
        compared += 1
    each = obvious / compared
    total = looked - before
    everything = counted - before  # all pairs on three ports, counted
    ratio = each * len(PORTS) * pods * (pods - 1) / everything
    figures = (
        *(pods, policies, namespaces, kind, len(evaluation.groups)),
        *(round(1000 * t, 1) for t in (grouped - before, tabled - grouped, looked - tabled, total)),
        *(round(1000 * (counted - looked), 1), round(peak, 1), round(1e6 * each, 1), f"{ratio:,.0f}"),
    )
    return dict(zip(COLUMNS, figures, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description="Benchmark of the simulator")
    parser.add_argument("--quick", action="store_true", help="only the small sizes")
    parser.add_argument("--once", nargs=4, metavar=("PODS", "POLICIES", "NAMESPACES", "KIND"))
    options = parser.parse_args()
    if options.once:
        pods, policies, namespaces, kind = options.once
        print(json.dumps(measure(int(pods), int(policies), int(namespaces), kind)))
        return 0
    print("  ".join(COLUMNS))
    for size in SIZES[:3] if options.quick else SIZES:
        command = [sys.executable, __file__, "--once", *map(str, size)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        figures = json.loads(run.stdout)
        print("  ".join(f"{figures[column]!s:>{len(column)}}" for column in COLUMNS), flush=True)
    print(
        "\nreplicas: the four pods of an app carry the same labels; pairs: two pods an app; distinct: every"
    )
    print(
        "pod has a label of its own; mixed: replicas, with one ClusterNetworkPolicy for 20 policies, and one"
    )
    print("GlobalNetworkPolicy for 8.")
    print("ratio: all pairs on three ports, counted, against the obvious evaluator's time for as many pairs.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
