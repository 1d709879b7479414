"""What goes wrong with the tester is never called denied, and what a run made is removed all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.netprobe import Ended, netprobe

pytestmark = pytest.mark.lab

Bend = Callable[[str, str], Path]

WEB = "{name: web, labels: {app: web-server}, ports: [80]}"


def run(two_tier: Bend, annotation: str) -> Ended:
    """The first example with an annotation on frontend/web."""
    fault = WEB.replace("}, ports", f"}}, annotations: {{{annotation}}}, ports")
    return netprobe("run", two_tier(WEB, fault), "-o", "json", "--request-timeout", "4s")


@pytest.mark.parametrize("fault", ["breaks", "hangs"])
def test_an_exec_that_fails_leaves_its_flows_unknown(two_tier: Bend, fault: str) -> None:
    ended = run(two_tier, f"netprobe.dev/fault-exec: {fault}")
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


def test_a_lost_exit_status_does_not_matter_where_every_answer_came(two_tier: Bend) -> None:
    ended = run(two_tier, "netprobe.dev/fault-exec: loses-status")
    assert ended.status == 0, ended.out
    assert ended.report["summary"]["as_expected"] == 8


def test_an_exec_that_starts_late_is_waited_for(two_tier: Bend) -> None:
    ended = run(two_tier, "netprobe.dev/fault-exec: late=2")
    assert ended.status == 0, ended.out


@pytest.mark.parametrize("fault", ["429/3", "watch/1"])
def test_an_api_that_is_busy_is_asked_again(two_tier: Bend, fault: str) -> None:
    suite = two_tier(
        "labels: {tier: frontend}",
        f"labels: {{tier: frontend}}\n      annotations: {{netprobe.dev/fault-api: {fault}}}",
    )
    ended = netprobe("run", suite, "-o", "json")
    assert ended.status == 0, ended.err or ended.out


@pytest.mark.parametrize("fault", ["500/1", "hang/1"])
def test_an_api_that_fails_ends_the_run_with_a_sentence(two_tier: Bend, fault: str) -> None:
    suite = two_tier(
        "labels: {tier: frontend}",
        f"labels: {{tier: frontend}}\n      annotations: {{netprobe.dev/fault-api: {fault}}}",
    )
    ended = netprobe("run", suite, "--request-timeout", "2s")
    assert ended.status == 3
    assert "frontend" in ended.err
    assert "DENY" not in ended.out


def test_a_pod_that_comes_back_with_another_address_is_not_called_denied(two_tier: Bend) -> None:
    ended = run(two_tier, "netprobe.dev/fault-restart: '2'")
    assert ended.status in {0, 3}, ended.out  # 0 where the run was over before it
    for row in ended.report["flows"]:
        assert row["status"] != "mismatch", row
