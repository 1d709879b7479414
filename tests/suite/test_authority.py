"""By what a suite declares a flow."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.model.flow import Flow, PodRef
from netprobe.suite import Authority, load

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: s}
topology:
  namespaces:
    - name: x
      pods: [{name: a, ports: [80]}, {name: b, ports: [80]}, {name: c, ports: [80]}]
expect:
  DEFAULT
  flows:
    - {from: "x/*", to: x/b, port: 80, verdict: allow}
    - {from: x/a, to: x/b, port: 80, verdict: allow}
"""


@pytest.mark.parametrize(("default", "rest"), [("default: deny", "default"), ("", None)])
def test_a_row_a_pattern_or_the_default(default: str, rest: str | None, tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(SUITE.replace("DEFAULT", default))
    suite = load(file)
    authority = Authority(suite.expectation, suite.cluster())
    told = {
        (one, other): authority(Flow(PodRef("x", one), PodRef("x", other), 80, family=4))
        for one, other in (("a", "b"), ("c", "b"), ("a", "c"))
    }
    assert told == {("a", "b"): "row", ("c", "b"): "pattern", ("a", "c"): rest}
