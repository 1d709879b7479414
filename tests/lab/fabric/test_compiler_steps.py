"""A compiler that takes over what another worked out says what one says that begins anew."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.state import NetworkState, PolicyPod
from netprobe.model.flow import PodRef
from tests.lab.fabric.probing import installed, policy, ports

SPACES = ("x", "y")
REFS = tuple(PodRef(space, name) for space in SPACES for name in ("a", "b", "c"))
LINKS = {ref: f"p{number}" for number, ref in enumerate(REFS)}


def selector(key: str, value: str | None) -> dict[str, Any]:
    return {} if value is None else {"matchLabels": {key: value}}


VALUES = st.sampled_from((None, "1", "2"))
LABELS = st.sampled_from(({}, {"k": "1"}, {"k": "2"}))
PEERS = st.fixed_dictionaries(
    {},
    optional={
        "podSelector": st.builds(selector, st.just("k"), VALUES),
        "namespaceSelector": st.builds(selector, st.just("k"), VALUES),
    },
).filter(bool)
RULES = st.fixed_dictionaries(
    {"from": st.lists(PEERS, max_size=2)},
    optional={"ports": st.sampled_from(([{"port": 80}], [{"port": "http", "protocol": "TCP"}]))},
)
POOL = st.lists(
    st.builds(
        lambda space, name, chosen, rules: policy(
            f"{space}/{name}", {"podSelector": chosen, "policyTypes": ["Ingress"], "ingress": rules}
        ),
        st.sampled_from(SPACES),
        st.sampled_from(("p", "q")),
        st.builds(selector, st.just("k"), VALUES),
        st.lists(RULES, max_size=2),
    ),
    min_size=1,
    max_size=5,
)
MEMBERS = {
    (ref, value, number): PolicyPod(
        ref,
        {} if value is None else {"k": value},
        (ip_address(f"10.244.1.{REFS.index(ref) + 1}"),),
        ports(f"http={number}"),
        "n1",
    )
    for ref in REFS
    for value in (None, "1", "2")
    for number in (80, 81)
}
"""The same records again and again, as the daemon hands on what did not change."""


@st.composite
def steps(draw: st.DrawFn) -> list[NetworkState]:
    """States of one cluster: pods and policies come, go and change, and so do namespaces' labels."""
    pool = draw(POOL)
    states = []
    for _ in range(draw(st.integers(2, 5))):
        pods = draw(st.lists(st.sampled_from(sorted(MEMBERS, key=str)), max_size=8))
        chosen = {f"{p['metadata']['namespace']}/{p['metadata']['name']}": p for p in draw(_some(pool))}
        states.append(
            NetworkState(
                {space: draw(LABELS) for space in SPACES},
                {key[0]: MEMBERS[key] for key in pods},
                installed(chosen.values()),
            )
        )
    return states


def _some(pool: list[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.sampled_from(pool), max_size=len(pool))


@settings(deadline=None, max_examples=60)
@given(steps())
def test_each_step_says_what_a_fresh_compiler_says(states: list[NetworkState]) -> None:
    before = None
    for state in states:
        before = Compiler(state, before=before)
        assert before.node(LINKS) == Compiler(state).node(LINKS)


def test_what_a_change_does_not_touch_is_the_very_same_object() -> None:
    spec: dict[str, Any] = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    policies = installed([policy("x/p", spec), policy("y/p", spec)])
    members = {ref: MEMBERS[ref, None, 80] for ref in REFS}
    first = Compiler(NetworkState({}, members, policies))
    changed = {ref: member for ref, member in members.items() if ref != REFS[0]}
    second = Compiler(NetworkState({}, changed, policies), before=first)
    before, after = first.node(LINKS), second.node(LINKS)
    same = {name for name in before.sets if before.sets[name] is after.sets[name]}
    assert len(before.sets) == 2
    assert len(same) == 1, "the set of y alone: no pod of it has changed"
    assert all(before.chains[name][:1] == after.chains[name][:1] for name in after.chains)
    for query, pods in first.selection.answers.items():
        assert (second.selection.pods(query) is pods) == (query.namespace == "y"), query
