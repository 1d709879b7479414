"""Each root cause is found on a lab that has the fault, and named first; nothing is left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from netprobe.debug import Answer
from netprobe.debug.causes import find_functions
from netprobe.kube import connect
from netprobe.lab import Lab
from netprobe.run.target import ClusterChoice
from tests.debug import faults

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("debug causes")]

AT_ONCE = 6

CAUSES = {
    # file -> the first cause, and what its sentence and fix have to contain
    "egress-policy": ("egress-policy", "NetworkPolicy T-shop/web isolates T-shop/web", "5432"),
    "ingress-policy": ("ingress-policy", "NetworkPolicy T-shop/db isolates T-shop/db-0 and T-shop/db-1", ""),
    "both-policies": ("both-policies", "both ends deny 5432/TCP", ""),
    "almost-allowed-label": ("almost-allowed", "has no label tier", "tier=frontend"),
    "almost-allowed-namespace": ("almost-allowed", "without a namespaceSelector", "T-front"),
    "almost-allowed-port": ("almost-allowed", "(port)", "5432"),
    "almost-allowed-protocol": ("almost-allowed", "(protocol)", "5432"),
    "almost-allowed-service-port": ("almost-allowed", "is the port of svc:T-shop/store", "5432"),
    "almost-allowed-policy-types": ("almost-allowed", "policyTypes has no Egress", ""),
    "dns-blocked": ("dns-blocked", "allows T-shop/web", "kube-dns"),
    "name-unknown": ("name-unknown", "in another namespace", "use the name db."),
    "selector-without-pods": ("selector-without-pods", "app=database", "app=db"),
    "endpoints-not-ready": ("endpoints-not-ready", "6380", "describe pod"),
    "target-port-name": ("target-port", "no port of that name; they have postgres", ""),
    "target-port-number": ("target-port", "targetPort 5433", "port 5432"),
    "target-port-differs": ("target-port", "6380 in T-shop/cache-1", ""),
    "no-listener": ("no-listener", "port 6379 of T-shop/cache", ""),
    "no-listener-loopback": ("no-listener", "loopback address only (127.0.0.1)", "on all addresses"),
    "some-backends": ("some-backends", "1 of 2 backends refuse", "T-shop/cache-1"),
    "not-enforced": ("not-enforced", "packets pass all the same", "agent"),
    "host-network": ("host-network", "T-shop/agent is on its node's network", "ipBlock"),
    "outside-silent": ("outside-silent", "203.0.113.99 does not answer", "outside"),
    "source-not-running": ("source-not-running", "T-shop/batch does not run", "describe pod"),
}
ON_NODES = {
    # these change a node, so they come one after the other
    "packets-dropped-stale": ("packets-dropped", "on n2, whose rules are stale", "agent on n2"),
    "packets-dropped-path": ("packets-dropped", "the path from n1 to n2 is broken", "between n1 and n2"),
    "packets-dropped-lag": ("packets-dropped", "enforcement lagged", "nothing to do"),
}
EVERY = CAUSES | ON_NODES


@dataclass(frozen=True, slots=True)
class Given:
    """An answer, how long it took in seconds, and what was said before something that cannot be undone."""

    answer: Answer
    took_s: float
    said: tuple[str, ...]


@pytest.fixture(scope="module")
def given(lab: Lab) -> Mapping[str, Given]:
    """The answers for all files."""
    return asyncio.run(_ask(lab))


async def _ask(lab: Lab) -> dict[str, Given]:
    target = ClusterChoice(lab=lab.name)
    found: dict[str, Given] = {}
    places = asyncio.Semaphore(AT_ONCE)
    async with connect(str(lab.kubeconfig)) as cluster:

        async def ask(name: str) -> None:
            async with places:
                said: list[str] = []
                begun = time.monotonic()
                answer = await faults.answer(cluster, target, name, tag(name), say=said.append)
                found[name] = Given(answer, time.monotonic() - begun, tuple(said))

        await asyncio.gather(*map(ask, CAUSES))
        for name in ON_NODES:
            await ask(name)
        assert await faults.leftovers(cluster) == []
    return found


def tag(name: str) -> str:
    """A short name for the namespaces of a file."""
    return f"f{list(EVERY).index(name)}"


@pytest.mark.parametrize("name", EVERY)
def test_the_first_cause_is_the_right_one(given: Mapping[str, Given], name: str) -> None:
    cause, sentence, fix = (text.replace("T-", f"{tag(name)}-") for text in EVERY[name])
    answer = given[name].answer
    assert answer.causes, answer.steps
    first, found = answer.causes[0]
    assert (first, answer.exit_status) == (cause, 0 if found.over else 1)
    assert sentence in found.text
    assert fix in found.fix.summary


def test_every_cause_is_shown() -> None:
    shown = {cause for cause, _, _ in EVERY.values()}
    elsewhere = {"one-family", "dns-silent", "other-policy"}
    assert set(find_functions()) - shown == elsewhere
