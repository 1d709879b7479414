"""A suite about the pods that are in a cluster."""

from __future__ import annotations

from pathlib import Path

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: there}
expect: {default: allow}
"""


def suite(folder: Path, text: str = SUITE) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text)
    return path
