"""`python -m tests.faults`: API faults, signals and kills against a lab, by a seed; prints figures."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.faults import campaign

BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="runs of each experiment")
    parser.add_argument("--rate", type=float, default=0.05, help="the share of requests that fail")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kubeconfig", type=Path, help="another cluster than a lab of its own")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    parser.add_argument("--only", choices=["api", "signals", "kills"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.kubeconfig is not None:
            return await _all(options, options.kubeconfig, Path(folder))
        async with campaign.fresh_lab(f"faults-{os.getpid()}") as kubeconfig:
            return await _all(options, kubeconfig, Path(folder))


async def _all(options: argparse.Namespace, kubeconfig: Path, folder: Path) -> int:
    """Run the experiments and print what came of them; 0 if everything is as it should be."""
    runs, seed = options.runs, options.seed
    experiments: dict[str, Callable[[], Coroutine[Any, Any, campaign.Figures]]] = {
        "api": lambda: campaign.api_faults(kubeconfig, folder, runs=runs, rate=options.rate, seed=seed),
        "signals": lambda: campaign.signals(kubeconfig, runs=runs, seed=seed),
        "kills": lambda: campaign.kills(kubeconfig, runs=runs, seed=seed),
    }
    figures: list[campaign.Figures] = []
    print(campaign.HEAD, flush=True)
    for name, experiment in experiments.items():
        if options.only in {None, name}:
            found = await experiment()
            figures.append(found)
            print(found.row, *found.messages, sep="\n", flush=True)
    if options.write:
        _write(options.write, "\n".join([campaign.HEAD, *(found.row for found in figures)]))
    return 0 if all(found.is_fine for found in figures) else 1


def _write(page: Path, table: str) -> None:
    """Put the table into a page, between its two markers."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", "utf-8")


sys.exit(asyncio.run(main()))
