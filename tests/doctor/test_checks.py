"""From what was seen to a line: clocks, names and protocols."""

from __future__ import annotations

import pytest

from netprobe.doctor import CheckStatus, checks
from netprobe.doctor.deny_all import DenyAllResult
from netprobe.doctor.pods import ClockSkew, PodFacts, PodPath
from netprobe.model.flow import PodRef
from netprobe.model.observation import Outcome
from netprobe.model.policy import Direction
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.plan import Station

POD = Station(PodRef("x", "client-0"), "x", "client-0", "probe", (), node="n1")


@pytest.mark.parametrize(
    ("read", "resolution_s", "before", "after", "least"),
    [
        pytest.param(100.0, 1.0, 100.2, 100.4, 0.0, id="the second that it is"),
        pytest.param(100.0, 1.0, 100.9, 101.1, 0.0, id="the second has just turned here"),
        pytest.param(105.0, 1.0, 100.2, 100.4, pytest.approx(4.6), id="ahead"),
        pytest.param(95.0, 1.0, 100.2, 100.4, pytest.approx(-4.2), id="behind"),
        pytest.param(100.25, 0.001, 100.2, 100.3, 0.0, id="fine clock, within the round trip"),
    ],
)
def test_a_skew_is_what_cannot_be_explained_by_delay_and_resolution(
    read: float, resolution_s: float, before: float, after: float, least: float
) -> None:
    assert ClockSkew.of(read, resolution_s, before, after).least == least


@pytest.mark.parametrize(
    ("server", "node", "status", "words"),
    [
        (
            ClockSkew(-0.2, 0.9),
            ClockSkew(-0.01, 0.02),
            CheckStatus.OK,
            "API server agrees to 0.9 s, n1 agrees to 0.0 s",
        ),
        (ClockSkew(2.0, 3.0), ClockSkew(0, 0), CheckStatus.NOTE, "API server +2.5 s (±0.5)"),
        (ClockSkew(0, 0), ClockSkew(-40.0, -39.0), CheckStatus.FAILED, "n1 -39.5 s (±0.5)"),
        (None, ClockSkew(0, 0), CheckStatus.NOTE, "not read from API server"),
    ],
)
def test_clocks(server: ClockSkew | None, node: ClockSkew, status: CheckStatus, words: str) -> None:
    check = checks.clocks(server, {POD: PodFacts(node)})
    assert check.status is status
    assert words in check.evidence


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.CONNECTED, CheckStatus.OK),
        (Outcome.TIMED_OUT, CheckStatus.NOTE),
        (Outcome.NO_SUCH_NAME, CheckStatus.FAILED),
        (Outcome.EXEC_FAILED, CheckStatus.UNKNOWN),
    ],
)
def test_names(outcome: Outcome, status: CheckStatus) -> None:
    assert checks.dns({POD: Answer(outcome)}, {}).status is status


def test_what_the_clusters_own_policies_close_is_no_fault_of_its_network() -> None:
    closed = {PodPath(POD, POD, Target("10.0.0.1", 80)): "GlobalNetworkPolicy default.lockdown"}
    within, between = checks.networks({}, closed)
    assert within.evidence == "not tried: every path is closed"
    assert between.evidence == "not tried: the pods are on one node"
    names = checks.dns({POD: Answer(Outcome.NO_SUCH_NAME)}, closed)
    assert names.status is CheckStatus.UNKNOWN
    assert names.evidence.endswith("; GlobalNetworkPolicy default.lockdown may be the reason")


def test_where_the_clusters_own_policies_close_everything_it_says_which_and_what_to_do() -> None:
    nothing_tried = DenyAllResult(Direction.INGRESS, {})
    check = checks.enforcement(nothing_tried, closing="GlobalNetworkPolicy default.lockdown")
    assert check.status is CheckStatus.UNKNOWN
    assert "because of GlobalNetworkPolicy default.lockdown" in check.evidence
    assert check.hint == (
        "exempt namespaces with the label netprobe.dev/run from GlobalNetworkPolicy default.lockdown, "
        "then run doctor again"
    )
    assert checks.enforcement(nothing_tried).hint is None


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        pytest.param(
            ["10.0.0.1"], "NOT ENFORCED over IPv6: 9 s after a deny-all all 2 of its paths", id="one family"
        ),
        pytest.param(["10.0.0.1", "fd00::1"], "NOT ENFORCED everywhere", id="some of it"),
        pytest.param([], "all 2 paths still connect", id="nothing at all"),
    ],
)
def test_a_family_that_policies_leave_out_is_named(closed: list[str], words: str) -> None:
    def path(host: str, port: int = 80) -> PodPath:
        return PodPath(POD, POD, Target(host, port))

    still = (path("fd00::1", 81), path("fd00::1", 82))
    check = checks.enforcement(
        DenyAllResult(Direction.INGRESS, {path(host): 0.1 for host in closed}, still, waited_s=9.0)
    )
    assert check.status is CheckStatus.FAILED
    assert words in check.evidence
