"""How closely a lab's lag is met through the whole stack: `netprobe run --lab-lag`, and what it reports.

    python benchmarks/bench_convergence.py [RUNS]

A run applies its policies, then a canary, and reports the time from the API's answer until everything had
turned. The excess over the lag is what the lab, its API and the prober's own resolution add; the goal is
below 0.1 s on a quiet machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

SUITE = Path(__file__).parent.parent / "manifests" / "two-tier" / "suite.yaml"
LAGS_S = (0.0, 0.1, 0.3, 1.0)


def converged_s(lag_s: float) -> float:
    command = [sys.executable, "-m", "netprobe", "run", "--lab-lag", f"{lag_s}s", str(SUITE), "-o", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(ended.stdout)["summary"]["converged_s"])


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{'lag [s]':>8} {'reported: least':>16} {'median':>8} {'most':>8} {'excess (median)':>16}")
    for lag_s in LAGS_S:
        seen = sorted(converged_s(lag_s) for _ in range(runs))
        middle = statistics.median(seen)
        print(f"{lag_s:8.1f} {seen[0]:16.3f} {middle:8.3f} {seen[-1]:8.3f} {middle - lag_s:16.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
