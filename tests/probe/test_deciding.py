"""Policies of kinds that are not simulated: what is reported of them, and what follows for shadow pods."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from netprobe.errors import ClusterError, ConflictError, ForbiddenError, NotServedError
from netprobe.model.flow import Flow, PodRef
from netprobe.model.objects import Object
from netprobe.probe import PodOptions
from netprobe.probe.conflicts import SideEffect
from netprobe.probe.deciding import OtherPolicies, other_policies
from netprobe.probe.guest_workbench import Shadow
from netprobe.run.in_place import PlannedInPlace
from tests.probe.clock import virtually
from tests.probe.fake import FakeCluster
from tests.run.crowd import crowd
from tests.run.test_in_place_plan import here

WIDE, CILIUM = "CiliumClusterwideNetworkPolicy", "CiliumNetworkPolicy"
WIDE_NAME, CILIUM_NAME = "ciliumclusterwidenetworkpolicies.cilium.io", "ciliumnetworkpolicies.cilium.io"
SURE, UNSURE = "they may decide flows, and", "if there are some they may decide flows, and"


class Answering(FakeCluster):
    """Serves these kinds only: each with names of objects, or with an error."""

    def __init__(self, answers: Mapping[str, list[str] | Exception], otherwise: Exception) -> None:
        super().__init__()
        self.answers, self.otherwise = answers, otherwise

    async def find(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> list[Object]:
        del namespace, labels
        answer = self.answers.get(kind, self.otherwise)
        if isinstance(answer, Exception):
            raise answer
        split = (name.rpartition("/") for name in answer)
        return [{"metadata": {"name": n, **({"namespace": ns} if ns else {})}} for ns, _, n in split]


NOT_SERVED, FORBIDDEN, FAILED = NotServedError("no"), ForbiddenError("no"), ClusterError("down")


@pytest.mark.parametrize(
    ("answers", "otherwise", "notes"),
    [
        pytest.param({}, NOT_SERVED, [], id="no such kind"),
        pytest.param({WIDE: []}, NOT_SERVED, [], id="a kind without objects"),
        pytest.param(
            {WIDE: ["allow"], CILIUM: ["shop/a", "shop/b", "x/c", "x/d"]},
            NOT_SERVED,
            [f"1 {WIDE_NAME} (allow): {SURE}", f"4 {CILIUM_NAME} (shop/a, shop/b, x/c, ...): {SURE}"],
            id="some, and more than are named",
        ),
        pytest.param(
            {WIDE: FORBIDDEN, CILIUM: FAILED},
            NOT_SERVED,
            [f"{WIDE_NAME} (may not be listed): {UNSURE}", f"{CILIUM_NAME} (could not be listed): {UNSURE}"],
            id="nobody knows",
        ),
        pytest.param(
            {},
            FORBIDDEN,
            [f"policies of other kinds (the API server does not say which kinds it has): {UNSURE}"],
            id="the server says nothing at all",
        ),
    ],
)
def test_what_is_noted(
    answers: Mapping[str, list[str] | Exception], otherwise: Exception, notes: list[str]
) -> None:
    found = virtually(other_policies(Answering(answers, otherwise)))
    assert list(found.notes("so be careful")) == [
        f"{note} are not simulated; so be careful" for note in notes
    ]
    assert bool(found) is bool(notes)


def test_a_run_that_would_disturb_others_because_of_them_names_them() -> None:
    found = OtherPolicies({WIDE_NAME: True})
    plan = here(crowd(), Flow(PodRef("shop", "web-0"), PodRef("shop", "db-1"), 80))
    shadow = Shadow(PodRef("shop", "netprobe-1-0"), {"app": "web"}, "n1", (PodRef("shop", "web"),))
    harmed = SideEffect("DaemonSet shop/agent", shadow, "adopts it", harmful=True)
    with pytest.raises(ConflictError, match="carry all labels of the real ones, because of"):
        PlannedInPlace(plan, "r1", (harmed,), found, ()).refuse(disturb=False)
    planned = PlannedInPlace(plan, "r1", (), found, tuple(found.notes("so be careful")))
    pieces = list(planned.preview(PodOptions()))
    assert f"note: {WIDE_NAME}: they may decide flows, and are not simulated; so be careful" in pieces
    assert sum(isinstance(piece, dict) for piece in pieces) > 1
