"""Where the real cluster is, if there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

TOOL = Path(__file__).parents[3] / "shared" / "realcluster" / "cluster"


@cache
def kubeconfig() -> str | None:
    """$NETPROBE_TEST_KUBECONFIG, else that of ../shared/realcluster where it is up; None: there is none."""
    given = os.environ.get("NETPROBE_TEST_KUBECONFIG")
    if given:
        return given
    if not TOOL.is_file() or subprocess.run([TOOL, "status"], capture_output=True, check=False).returncode:
        return None
    return subprocess.run([TOOL, "kubeconfig"], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":  # for `make test-cluster`: empty where there is none
    sys.stdout.write(kubeconfig() or "")
