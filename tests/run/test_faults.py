"""What goes wrong with the tester is never called denied, and what a run made is removed all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tenacity

from netprobe.kube import transport
from netprobe.lab import Lab
from netprobe.probe import Pace
from tests.run.netprobe import netprobe

pytestmark = pytest.mark.lab

Bend = Callable[..., Path]


def with_fault(pod: str, fault: str) -> tuple[str, str]:
    """A replacement in the first example: the labels of a pod, with a fault."""
    labels = f"labels: {{app: {pod}}}"
    return labels, f"{labels}, annotations: {{netprobe.dev/fault-{fault}}}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are repeated at once, and a command is silent for long enough after 3 s."""
    monkeypatch.setattr(transport, "REQUESTS", transport.REQUESTS.copy(wait=tenacity.wait_none()))
    monkeypatch.setattr(Pace, "quiet_s", 3.0)


@pytest.mark.parametrize(("fault", "harmless"), [("breaks", "loses-status"), ("hangs", "late=1")])
def test_an_exec_that_fails_leaves_its_flows_unknown(
    lab: Lab, two_tier: Bend, impatient: None, fault: str, harmless: str
) -> None:
    """One whose answers all come, late or without a status at the end, is enough."""
    suite = two_tier(
        with_fault("web-server", f"exec: {fault}"), with_fault("api-server", f"exec: {harmless}")
    )
    ended = netprobe("run", suite, "--lab", lab.name, "-o", "json")
    assert ended.status == 3, ended.err or ended.out
    flows = ended.report["flows"]
    from_web = [row for row in flows if row["from"] == "frontend/web"]
    assert len(from_web) == 3
    assert {row["status"] for row in from_web} == {"unknown"}
    assert {row["observed"] for row in from_web} == {"unknown"}
    assert all(row["reason"].startswith("exec") for row in from_web)
    # Web could not show that it listens, but backend/api reached it, so the other flows are known.
    others = [row for row in flows if row not in from_web]
    assert {row["status"] for row in others} == {"as_expected"}
    (closed,) = (row for row in others if row["to"] == "frontend/web" and row["observed"] == "deny")
    assert closed["control"] == {"listener": "peer", "path": "baseline"}


def api_fault(fault: str) -> tuple[str, str]:
    labels = "labels: {tier: frontend}"
    return labels, f"{labels}\n      annotations: {{netprobe.dev/fault-api: {fault}}}"


def test_a_busy_api_is_asked_again(lab: Lab, two_tier: Bend, impatient: None) -> None:
    ended = netprobe("run", two_tier(api_fault("429/3")), "--lab", lab.name)
    assert ended.status == 0, ended.err or ended.out


def test_an_api_that_fails_ends_the_run(two_tier: Bend, impatient: None) -> None:
    """On a lab of its own: a namespace whose API fails cannot be removed."""
    ended = netprobe("run", two_tier(api_fault("500/1")))
    assert ended.status == 3, ended.err or ended.out
    assert "frontend" in ended.err
    assert "DENY" not in ended.out


def test_a_pod_that_comes_back_with_another_address_is_not_called_denied(lab: Lab, two_tier: Bend) -> None:
    suite = two_tier(with_fault("web-server", "restart: '2'"))
    ended = netprobe("run", suite, "--lab", lab.name, "-o", "json")
    assert ended.status in {0, 3}, ended.out  # 0 where the run was over before it
    assert [row for row in ended.report["flows"] if row["status"] == "mismatch"] == []


def test_what_the_network_does_wrong_is_unknown_or_a_mismatch(lab: Lab, two_tier: Bend) -> None:
    """A port that nobody serves, and a rule of ingress that the cluster misses: both controls show that."""
    suite = two_tier(with_fault("web-server", "listener: dead"))
    policy = suite.parent / "policies" / "allow-api.yaml"
    missed = "annotations: {netprobe.dev/fault-missed: ingress=0}\n  name: allow-api"
    policy.write_text(policy.read_text().replace("name: allow-api", missed, 1))
    ended = netprobe("run", suite, "--lab", lab.name, "-o", "json")
    assert ended.status == 1, ended.err or ended.out
    flows = ended.report["flows"]
    to_web = [row for row in flows if row["to"] == "frontend/web"]
    assert {(row["status"], row["observed"]) for row in to_web} == {("unknown", "unknown")}
    assert {row["reason"].partition(":")[0] for row in to_web} <= {"path", "listener"}
    (wrong,) = (row for row in flows if row["status"] == "mismatch")
    assert wrong == ended.flow("backend/api", "database/pg", 5432)
    assert (wrong["simulated"], wrong["observed"]) == ("allow", "deny")
    assert wrong["control"] == {"listener": "self", "path": "baseline"}
    assert len([row for row in flows if row["status"] == "as_expected"]) == 5
