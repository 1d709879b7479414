"""A compiler that takes over what another worked out says what one says that begins anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from random import Random

from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.state import NetworkState, PolicyPod
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from tests.lab.fabric.packetfilter import state_of
from tests.lab.fabric.probing import installed, policy, ports
from tests.property.kinds import MIXED, mixed
from tests.property.strategies import random_pods, seeded


def links(state: NetworkState) -> dict[PodRef, str]:
    return {ref: f"p{number}" for number, ref in enumerate(state.members)}


def steps(rng: Random) -> Iterator[NetworkState]:
    """States of one cluster, whose pods and policies come, go and change; so do namespaces' labels.

    What stays is the same record again, as the daemon hands on what did not change.
    """
    drawn = random_pods(rng, MIXED)
    states = [state_of(mixed(rng, drawn, MIXED)) for _ in range(2)]
    everybody = list(states[0].members.values())
    other = {
        ref: replace(one, labels=rng.choice(everybody).labels, ports=rng.choice(everybody).ports)
        for ref, one in states[0].members.items()
    }
    members = [*(state.members for state in states), other]
    for _ in range(5):
        state = rng.choice(states)
        labels = rng.sample([*state.namespaces.values()], len(state.namespaces))
        yield replace(
            state,
            namespaces=dict(zip(state.namespaces, labels, strict=True)),
            members={ref: rng.choice(members)[ref] for ref in drawn.pods if rng.random() < 0.8},
            policies=[one for one in states[0].policies if rng.random() < 0.7],
        )


def test_each_step_says_what_a_fresh_compiler_says() -> None:
    for seed in range(40):
        before = None
        for state in steps(seeded(seed)):
            before = Compiler(state, before=before)
            assert before.node(links(state)) == Compiler(state).node(links(state)), seed


def test_what_a_change_does_not_touch_is_the_very_same_object() -> None:
    spec: Object = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    policies = installed([policy("x/p", spec), policy("y/p", spec)])
    refs = map(PodRef.parse, ("x/a", "x/b", "y/a"))
    members = {
        ref: PolicyPod(ref, {}, (ip_address(f"10.244.1.{number}"),), ports("80"), "n1")
        for number, ref in enumerate(refs)
    }
    state = NetworkState({}, members, policies)
    first = Compiler(state)
    changed = replace(state, members={ref: one for ref, one in members.items() if str(ref) != "x/a"})
    second = Compiler(changed, before=first)
    before, after = first.node(links(state)), second.node(links(state))
    same = {name for name in before.sets if before.sets[name] is after.sets[name]}
    assert len(before.sets) == 2
    assert len(same) == 1, "the set of y alone: no pod of it has changed"
    assert all(before.chains[name][:1] == after.chains[name][:1] for name in after.chains)
    for query, pods in first.selection.answers.items():
        assert (second.selection.pods(query) is pods) == (query.namespace == "y"), query
