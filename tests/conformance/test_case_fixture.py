"""What a fixture remembers from one state to the next, and what it proves before the first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netprobe.conformance.case_fixture import CaseFixture, State
from netprobe.conformance.world import Cell
from netprobe.model.flow import Flow, PodRef
from netprobe.model.objects import Object
from netprobe.model.observation import Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe import Pace, Station
from tests.conformance.samples import SITE

TO_SERVICE = [SITE.flow(Cell(pod, "svc:y/web", "8080/TCP")) for pod in ("x/a", "x/b")]
CONNECTED = Observation(Outcome.CONNECTED, Verdict.ALLOW)
SILENT = Observation(Outcome.TIMED_OUT, Verdict.UNKNOWN)


class Bench:
    """Notes what is applied and deleted."""

    run = "r1"

    def __init__(self) -> None:
        self.stations = {
            ref: Station(ref, ref.namespace, ref.name, "probe", SITE.addresses[str(ref)], "n1")
            for ref in map(SITE.pod, ("x/a", "x/b", "y/a"))
        }
        self.calls: list[str] = []

    async def apply(self, obj: Object) -> None:
        self.calls.append(f"+{obj['metadata']['namespace']}/{obj['metadata']['name']}")

    async def delete(self, _: str, name: str, namespace: str) -> None:
        self.calls.append(f"-{namespace}/{name}")


class Slow:
    """A prober for which each flow to a Service connects at its own try."""

    def __init__(self, **tries: int) -> None:
        self.left = tries
        self.asked: list[list[str]] = []

    async def round(self, flows: Iterable[Flow]) -> dict[Flow, Observation]:
        asked = list(flows)
        self.asked.append([_source(flow) for flow in asked])
        for flow in asked:
            self.left[_source(flow)] -= 1
        return {flow: SILENT if self.left[_source(flow)] > 0 else CONNECTED for flow in asked}


def _source(flow: Flow) -> str:
    assert isinstance(flow.source, PodRef)
    return flow.source.name


def fixture(bench: Bench, flows: Iterable[Flow] = (), pace: Pace | None = None) -> CaseFixture:
    there: Any = bench
    return CaseFixture(there, there, SITE, pairs=(), flows=flows, pace=pace or Pace())


async def test_a_service_is_tried_until_it_answers_from_everywhere() -> None:
    """kube-proxy may translate it later on one node than on another."""
    one = fixture(Bench(), TO_SERVICE, Pace(retry_s=0))
    slow: Any = Slow(a=1, b=3)
    one._prober = slow
    await one._prove_services()
    assert slow.asked == [["a", "b"], ["b"], ["b"]]
    assert not one.lacks_services
    assert one._served == set(TO_SERVICE)


async def test_policies_of_a_namespace_that_is_new_are_applied_again() -> None:
    bench = Bench()
    one = fixture(bench)
    policies = {
        ("NetworkPolicy", namespace, "p"): {
            "kind": "NetworkPolicy",
            "metadata": {"name": "p", "namespace": namespace},
        }
        for namespace in ("v", "x")
    }
    await one._go(State(policies))
    await one._go(State(policies))
    assert sorted(bench.calls) == ["+v/p", "+x/p"]
    one.lost("v")
    await one._go(State(policies))
    assert sorted(bench.calls) == ["+v/p", "+v/p", "+x/p"]
    one.lost("v")
    await one._go(State())
    assert bench.calls[-1] == "-x/p", "what went with its namespace is not deleted"
