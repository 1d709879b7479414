"""How long the program takes to say anything, against Python doing nothing, in one run.

Goal: `netprobe --version` in under 0.15 s on a quiet machine; the ratio holds on a busy one too.

    python benchmarks/bench_startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15
POD = """apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: x}}
spec: {{containers: [{{name: c, image: i, ports: [{{containerPort: 80}}]}}]}}
"""


def measured(arguments: list[str]) -> float:
    """Seconds of the wall clock, start to exit."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pods = Path(folder, "pods.yaml")
        pods.write_text("---\n".join(POD.format(name=name) for name in ("a", "b")))
        commands = {
            "python -c pass": ["-c", "pass"],
            "python -c 'import click'": ["-c", "import click"],
            "netprobe --version": ["-m", "netprobe", "--version"],
            "netprobe --help": ["-m", "netprobe", "--help"],
            "netprobe simulate, two pods": ["-m", "netprobe", "simulate", "-f", str(pods)],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):  # by turns, so that a busy moment hits all of them
            for name, arguments in commands.items():
                taken[name].append(measured(arguments))
    nothing = statistics.median(taken["python -c pass"])
    print(f"{'':30} {'median':>8} {'best':>8} {'ratio':>6}")
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name:30} {median:7.3f}s {min(seconds):7.3f}s {median / nothing:5.1f}x")


if __name__ == "__main__":
    main()
