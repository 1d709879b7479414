"""Without any kubeconfig, one sentence says so, and the client adds none of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("variable", [None, "FOLDER/a:FOLDER/b"])
def test_it_is_one_sentence(tmp_path: Path, variable: str | None) -> None:
    environ = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"} | {"HOME": str(tmp_path)}
    named = str(tmp_path / ".kube" / "config")
    if variable:
        named = environ["KUBECONFIG"] = variable.replace("FOLDER", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "netprobe", "doctor", "--context", "prod"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    sentence = f"no kubeconfig found ({named}): use --kubeconfig or set $KUBECONFIG"
    assert done.stderr == f"netprobe: {sentence}\n"
