"""The program as a user starts it: a process of its own, with its output and exit status."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netprobe.cli import main

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


def netprobe(*arguments: object, timeout_s: float = 120) -> Ended:
    """Run netprobe to its end: in this process if the cluster is there already, which is quicker."""
    if not {"--lab", "--kubeconfig"}.isdisjoint(arguments):
        return _in_process(list(map(str, arguments)))
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=timeout_s, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def _in_process(arguments: list[str]) -> Ended:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        status = main(arguments)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Ended(status, *texts)


def called(output: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run netprobe in this process, which is quicker and enough if nothing is interrupted."""
    status = main(list(map(str, arguments)))
    return Ended(status, *output.readouterr())


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


def kubectl(kubeconfig: str, *arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", kubeconfig, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
