"""What goes wrong with the tester is never called denied, and what a run made is removed all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.run.netprobe import Ended, netprobe

pytestmark = pytest.mark.lab

Bend = Callable[[str, str], Path]
Run = Callable[[str], Ended]

WEB = "{name: web, labels: {app: web-server}, ports: [80]}"


@pytest.fixture
def run(two_tier: Bend, lab: Lab) -> Callable[[str], Ended]:
    """Runs the first example with an annotation on frontend/web."""

    def run(annotation: str) -> Ended:
        fault = WEB.replace("}, ports", f"}}, annotations: {{{annotation}}}, ports")
        return netprobe(
            "run", two_tier(WEB, fault), "--lab", lab.name, "-o", "json", "--request-timeout", "4s"
        )

    return run


@pytest.fixture
def busy_api(two_tier: Bend) -> Callable[[str], Path]:
    """The first example with a fault of the API server, which is that of a lab of its own."""
    return lambda fault: two_tier(
        "labels: {tier: frontend}",
        f"labels: {{tier: frontend}}\n      annotations: {{netprobe.dev/fault-api: {fault}}}",
    )


@pytest.mark.parametrize("fault", ["breaks", "hangs"])
def test_an_exec_that_fails_leaves_its_flows_unknown(run: Run, fault: str) -> None:
    ended = run(f"netprobe.dev/fault-exec: {fault}")
    assert ended.status == 3, ended.err or ended.out
    flows = ended.report["flows"]
    from_web = [row for row in flows if row["from"] == "frontend/web"]
    assert len(from_web) == 3
    assert {row["status"] for row in from_web} == {"unknown"}
    assert {row["observed"] for row in from_web} == {"unknown"}
    assert all(row["reason"].startswith("exec") for row in from_web)
    # The others are told as ever: that web listens it could not show itself, but backend/api reached it.
    others = [row for row in flows if row not in from_web]
    assert {row["status"] for row in others} == {"as_expected"}
    (closed,) = (row for row in others if row["to"] == "frontend/web" and row["observed"] == "deny")
    assert closed["control"] == {"listener": "peer", "path": "baseline"}


@pytest.mark.parametrize("fault", ["loses-status", "late=2"])
def test_an_exec_whose_answers_all_came_is_enough(run: Run, fault: str) -> None:
    ended = run(f"netprobe.dev/fault-exec: {fault}")
    assert ended.status == 0, ended.out
    assert ended.report["summary"]["as_expected"] == 8


def test_an_api_that_is_busy_is_tried_again(busy_api: Callable[[str], Path]) -> None:
    ended = netprobe("run", busy_api("429/3"), "-o", "json")
    assert ended.status == 0, ended.err or ended.out


def test_an_api_that_fails_ends_the_run_with_a_sentence(busy_api: Callable[[str], Path]) -> None:
    ended = netprobe("run", busy_api("500/1"), "--request-timeout", "2s")
    assert ended.status == 3
    assert "frontend" in ended.err
    assert "DENY" not in ended.out


def test_a_pod_that_comes_back_with_another_address_is_not_called_denied(run: Run) -> None:
    ended = run("netprobe.dev/fault-restart: '2'")
    assert ended.status in {0, 3}, ended.out  # 0 where the run was over before it
    for row in ended.report["flows"]:
        assert row["status"] != "mismatch", row
