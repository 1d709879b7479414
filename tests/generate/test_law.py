"""Every random matrix is either proved or rightly refused."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.generate import generate
from netprobe.generate.demand import Refusal
from netprobe.manifests.workload import ROLLOUT_LABELS
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, PodRef
from netprobe.model.verdict import Verdict
from tests.generate.flows import listed
from tests.property.obvious import passes
from tests.property.strategies import OUTSIDE, Shape, random_pods

SHAPE = Shape(pods=6, host_network=False, without_address=False, families=(4,))
ENDS = tuple(External(address) for address in OUTSIDE if address.version == 4)


def matrix(rng: Random, cluster: Cluster, deny: float) -> dict[Flow, Verdict]:
    """Random verdicts; pods alike by namespace and labels get the same ones, unless `rng` says otherwise."""
    honest = rng.random() < 0.8
    known: dict[tuple[object, ...], Verdict] = {}
    declared = {}
    everybody: list[PodRef | External] = [*cluster.pods, *ENDS]
    for source in everybody:
        for destination in everybody:
            if source == destination or (isinstance(source, External) and isinstance(destination, External)):
                continue
            ports = cluster.pods[destination].ports if isinstance(destination, PodRef) else ()
            asked = [(port.number, port.protocol) for port in ports] or []
            for number, protocol in dict.fromkeys(asked):
                key = (look(cluster, source), look(cluster, destination), number, protocol)
                verdict = Verdict.DENY if rng.random() < deny else Verdict.ALLOW
                flow = Flow(source, destination, number, protocol, 4)
                declared[flow] = known.setdefault(key, verdict) if honest else verdict
    return declared


def look(cluster: Cluster, end: PodRef | External) -> object:
    """All that a policy can see of an end."""
    if isinstance(end, External):
        return end
    labels = cluster.pods[end].labels
    return end.namespace, tuple(sorted((k, v) for k, v in labels.items() if k not in ROLLOUT_LABELS))


def is_right(refusal: Refusal, declared: dict[Flow, Verdict], cluster: Cluster) -> bool:
    """Two flows between ends that look the same to every policy are declared differently."""
    one, other = refusal.flows
    same = all(
        look(cluster, a) == look(cluster, b)  # type: ignore[arg-type]
        for a, b in ((one.source, other.source), (one.destination, other.destination))
    )
    ports = (one.port, one.protocol) == (other.port, other.protocol)
    return same and ports and declared[one] is not declared[other]


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans(), st.sampled_from([0.1, 0.5, 0.9]))
def test_every_matrix_is_proved_or_rightly_refused(rng: Random, everything: bool, deny: float) -> None:
    cluster = random_pods(rng, SHAPE)
    declared = matrix(rng, cluster, deny)
    made = generate(listed(declared, cluster), cluster, denies_by_default=everything)
    if made.refusals:
        assert all(is_right(refusal, declared, cluster) for refusal in made.refusals)
        assert not made.policies
        return
    world = replace(cluster, policies=tuple(one.policy for one in made.policies))
    assert {flow: passes(world, flow) for flow in declared} == {
        flow: verdict is Verdict.ALLOW for flow, verdict in declared.items()
    }
