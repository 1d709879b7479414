"""What a change does, as people are told it."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network

from netprobe.impact import FlowChange, Impact, Snapshot, impact, revise
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, PodRef, Protocol
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import IPBlock, PodPeer, Policy, PolicyRef, PortRange, Rule, Subject
from netprobe.model.verdict import Verdict
from netprobe.report import IMPACT_FORMATS
from tests.impact.world import WORLD, allow

ALL = frozenset(WORLD.namespaces)
DENY = Policy(PolicyRef("shop", "deny"), Subject(), ingress=())
API = Selector.of({"app": "api"})


def change(*new: Policy, old: tuple[Policy, ...] = (), declared: dict[Flow, Verdict] | None = None) -> Impact:
    state = Snapshot(replace(WORLD, policies=old), ALL)
    return impact(revise(state, Snapshot(Cluster(policies=new))), declared=declared)


def output(found: Impact) -> list[str]:
    """The bundles as "opens: from -> to ports (flows)"."""
    rows = []
    for one in found.bundles:
        if one.change is FlowChange.REASON:
            continue
        ports = "every" if one.ports is None else ",".join(str(number) for number, _ in one.ports)
        rows.append(f"{one.change.value}: {one.sources} -> {one.destinations} {ports} ({one.flows})")
    return rows


def test_a_default_deny_closes_a_namespace_to_everybody() -> None:
    """3 pods of shop by 3 others each, on their port and any other; and one kind of address outside."""
    assert output(change(DENY)) == [
        "closes: all 4 pods -> shop/* (3 pods) every (18)",
        "closes: every address outside -> shop/* (3 pods) every (6)",
    ]


def test_what_opens_comes_first_and_from_far_before_near() -> None:
    found = change(
        allow("api", API, PodPeer(EVERYTHING, EVERYTHING)),
        replace(DENY, ref=PolicyRef("data", "deny")),
        old=(DENY,),
    )
    assert output(found) == [
        "opens: data/pg -> shop/api (2 pods) every (4)",
        "opens: shop/* (3 pods) -> shop/api (2 pods) every (8)",
        "closes: all 4 pods -> data/pg every (6)",
        "closes: every address outside -> data/pg every (2)",
    ]


def test_a_rule_with_ports_opens_these_and_one_without_all() -> None:
    port = Rule((PodPeer(),), (PortRange(Protocol.TCP, 8080, 8080),))
    assert output(change(Policy(PolicyRef("shop", "api"), Subject(API), ingress=(port,)), old=(DENY,))) == [
        "opens: shop/* (3 pods) -> shop/api (2 pods) 8080 (4)"
    ]


def test_kinds_of_addresses_are_distinguished() -> None:
    block = IPBlock(ip_network("203.0.113.0/24"), (ip_network("203.0.113.128/25"),))
    found = change(allow("in", API, block), old=(DENY,))
    assert output(found) == ["opens: rest of 203.0.113.0/24 -> shop/api (2 pods) every (4)"]


def test_the_declaration_is_held_against_the_change() -> None:
    web, pg = PodRef("shop", "web"), PodRef("data", "pg")
    replicas = [PodRef("shop", f"api-{number}") for number in (1, 2)]
    declared = {Flow(web, one, 8080, family=4): Verdict.ALLOW for one in replicas}
    declared |= {Flow(pg, web, 80, family=4): Verdict.DENY}
    closing = change(DENY, declared=declared)
    (breach,) = closing.breaches
    assert [flow.destination for flow in breach.flows] == replicas
    assert closing.exit_status == 1
    assert closing.declared is not None
    assert closing.declared.repaired == 1
    opening = change(replace(DENY, ingress=(Rule(),)), old=(DENY,), declared=declared)
    assert [breach.declared for breach in opening.breaches] == [Verdict.DENY]
    untouched = change(replace(DENY, ref=PolicyRef("data", "deny")), declared=declared)
    assert untouched.exit_status == 0
    assert untouched.declared is not None
    assert untouched.declared.unmet == 1


def test_a_rule_that_no_declared_flow_needs_stays_if_it_allows_others() -> None:
    web = PodRef("shop", "web")
    declared = {Flow(web, PodRef("shop", "api-1"), 8080, family=4): Verdict.ALLOW}
    used = allow("used", API, PodPeer(Selector.of({"app": "web"})))
    unused = allow("unused", Selector.of({"app": "web"}), PodPeer(API))
    assert change(used, unused, declared=declared).unneeded == ()


def test_markdown_cannot_be_broken_by_a_name() -> None:
    odd = replace(DENY, ref=PolicyRef("shop", "a|b<img>"))
    assert "a\\|b&lt;img&gt;" in "".join(IMPACT_FORMATS.render(change(odd), "markdown"))


def test_a_family_is_named_only_where_the_other_one_differs() -> None:
    """shop/web speaks both families, the others IPv4 alone."""
    web = PodRef("shop", "web")
    pod = WORLD.pods[web]
    both = replace(pod, addresses=(*pod.addresses, ip_address("fd00:10:244::1")))
    state = Snapshot(replace(WORLD, pods={**WORLD.pods, web: both}), ALL)
    closed = impact(revise(state, Snapshot(Cluster(policies=(DENY,)))))
    assert {bundle.family for bundle in closed.bundles} == {None}
    block = IPBlock(ip_network("0.0.0.0/0"))
    halved = impact(revise(state, Snapshot(Cluster(policies=(allow("in", Selector(), block),)))))
    assert {bundle.family for bundle in halved.bundles if bundle.change is FlowChange.CLOSES} == {None}


def test_pods_on_their_nodes_network_are_named() -> None:
    pods = {ref: replace(pod, host_network=True) for ref, pod in WORLD.pods.items()}
    found = impact(revise(Snapshot(replace(WORLD, pods=pods)), Snapshot(Cluster(policies=(DENY,)))))
    assert all(found.flows(kind) == 0 for kind in FlowChange)
    document = json.loads("".join(IMPACT_FORMATS.render(found, "json")))
    assert (document["left_out"], document["summary"]["left_out"]) == (list(map(str, pods)), len(pods))
    for form in ("table", "markdown"):
        text = "".join(IMPACT_FORMATS.render(found, form)).replace("\\", "")
        assert "define their flows: shop/web, shop/api-1, shop/api-2" in text
