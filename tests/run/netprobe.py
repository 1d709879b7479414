"""The program from its arguments to output and exit status, and what tests need to prepare a lab for it."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from netprobe.cli import main
from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from netprobe.lab import Lab

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "manifests"
TWO_TIER = EXAMPLES / "two-tier" / "suite.yaml"


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.out)
        return report

    def flow(self, source: str, destination: str, port: int) -> dict[str, Any]:
        found = [
            row
            for row in self.report["flows"]
            if (row["from"], row["to"], row["port"]) == (source, destination, port)
        ]
        assert len(found) == 1, f"{source} -> {destination} {port}: {found}"
        flow: dict[str, Any] = found[0]
        return flow


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "netprobe", *map(str, arguments)]


def netprobe(*arguments: object) -> Ended:
    """Run netprobe to its end, in this process: starting another takes longer than most runs."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        status = main(list(map(str, arguments)))
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Ended(status, *texts)


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """netprobe while it runs, to be interrupted or watched; killed if the test leaves it running."""
    hears_ctrl_c = ["env", "--default-signal=INT"]  # also where the tests run in the background of a shell
    with subprocess.Popen(
        [*hears_ctrl_c, *command(*arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def kubectl(kubeconfig: str | Path, *arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", str(kubeconfig), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
    return done.stdout


def on(lab: Lab, what: Callable[[KubeCluster], Awaitable[T]]) -> T:
    """Do something to a lab through its API, which is quicker than kubectl."""

    async def run() -> T:
        async with connect(lab.kubeconfig) as cluster:
            return await what(cluster)

    return asyncio.run(run())


def objects(lab: Lab) -> set[str]:
    """Kind, namespace, name and UID of everything that a run could leave behind."""
    kinds = ("Namespace", "Pod", "NetworkPolicy", "Lease", "Job", "Service", "PodDisruptionBudget")

    async def find(cluster: KubeCluster) -> set[str]:
        return {
            " ".join((obj["kind"], meta.get("namespace", ""), meta["name"], meta["uid"]))
            for kind in kinds
            for obj in await cluster.find(kind)
            for meta in [obj["metadata"]]
        }

    return on(lab, find)
