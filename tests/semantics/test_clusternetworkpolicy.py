"""ClusterNetworkPolicy: who reaches x/a on TCP 80, from manifests as people write them (kinds.md).

The columns are x/b, y/a and an address outside. `!` where the API, or an implementation, leaves it open.
"""

# ruff: noqa: E501  # a row of a table is a line

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
import yaml

from netprobe.model.cluster import Cluster, Node
from netprobe.model.flow import Protocol
from netprobe.model.policy import Action, NetworkSet, Policy, PolicyRef, PortRange, Unsimulated
from netprobe.policies.kinds import BY_KEY
from netprobe.simulate import (
    ANTREA,
    CALICO,
    CILIUM,
    KUBE_NETWORK_POLICIES,
    AllPairs,
    Profile,
    read_question,
)
from netprobe.simulate.doubt import Doubt
from tests.semantics.stage import NODES, also, app, decide, marks, param, pod, policy, rule, stage

KNP = KUBE_NETWORK_POLICIES
TO_X_A = ["x/b -> x/a 80", "y/a -> x/a 80", "out -> x/a 80"]
FROM_X_A = ["x/a -> x/b 80", "x/a -> y/a 80", "x/a -> out 80"]
TEAM_TWO = "{namespaces: {matchLabels: {team: two}}}"
EVERYBODY = "{namespaces: {}}"
ISOLATES, OTHER_WAY = policy("x/np", app("a"), ingress=()), policy("x/np", app("a"), egress=(rule(),))


def cnp(rules: str, *, name: str = "p", tier: str = "Admin", priority: int = 5, subject: str = "") -> Policy:
    """A policy about the pods a of namespace x, unless `subject` says otherwise."""
    mine = "{pods: {namespaceSelector: {matchLabels: {team: one}}, podSelector: {matchLabels: {app: a}}}}"
    spec: Any = yaml.safe_load(f"{{tier: {tier}, priority: {priority}, subject: {subject or mine}}}")
    obj = {"metadata": {"name": name}, "spec": {**spec, **yaml.safe_load(rules)}}
    found = BY_KEY["ClusterNetworkPolicy"].policy(obj)
    assert isinstance(found, Policy)
    return found


def ingress(action: str, *peers: str, more: str = "") -> str:
    return f"ingress: [{{action: {action}, from: [{', '.join(peers)}]{more}}}]"


def egress(action: str, *peers: str, more: str = "") -> str:
    return f"egress: [{{action: {action}, to: [{', '.join(peers)}]{more}}}]"


def gnp(tier: str, value: str, **more: Any) -> Policy:
    """A GlobalNetworkPolicy about the ingress of pods by their label app."""
    spec = {"tier": tier, "selector": f"app == '{value}'", "types": ["Ingress"], **more}
    obj = {"apiVersion": "projectcalico.org/v3", "metadata": {"name": f"{tier}.p"}, "spec": spec}
    found = BY_KEY["GlobalNetworkPolicy"].policy(obj)
    assert isinstance(found, Policy)
    return found


BASELINE = cnp(ingress("Deny", EVERYBODY), tier="Baseline")
INGRESS = [  #                                                                      x/b y/a out
    param([cnp("ingress: []")], ". . .", id="no rules: no isolation"),
    param([cnp(ingress("Deny", TEAM_TWO))], ". X .", id="Deny"),
    param([cnp(ingress("Deny", EVERYBODY))], "X X .", id="no ingress peer matches an address outside"),
    param([cnp(ingress("Deny", "{pods: {podSelector: {matchLabels: {app: b}}}}"))], "X . .", id="pods of all namespaces"),
    param([cnp(ingress("Deny", TEAM_TWO, "{pods: {podSelector: {matchLabels: {app: b}}}}"))], "X X .", id="peers are OR"),
    param([cnp(ingress("Accept", TEAM_TWO)), ISOLATES], "X . X", id="Accept in Admin: no NetworkPolicy counts"),
    param([cnp(ingress("Pass", TEAM_TWO)), ISOLATES], "X X X", id="Pass: the NetworkPolicy decides"),
    param([cnp(ingress("Deny", TEAM_TWO), tier="Baseline"), ISOLATES], "X X X", id="Baseline comes after NetworkPolicy"),
    param([cnp(ingress("Accept", EVERYBODY), tier="Baseline"), ISOLATES], "X X X", id="Baseline does not open what is isolated"),
    param([cnp(ingress("Deny", TEAM_TWO), tier="Baseline")], ". X .", id="Baseline decides without NetworkPolicies"),
    param([cnp(ingress("Pass", TEAM_TWO), tier="Baseline")], ". . .", id="Pass in the last tier: allowed"),
    param([cnp(ingress("Deny", EVERYBODY), priority=6), cnp(ingress("Accept", TEAM_TWO), name="q", priority=4)], "X . .", id="a lower priority first"),
    param([cnp(ingress("Accept", TEAM_TWO)), cnp(ingress("Deny", EVERYBODY), name="q")], "X .! .", id="a tie: by name, and undefined where they differ"),
    param([cnp(ingress("Deny", EVERYBODY)), cnp(ingress("Deny", TEAM_TWO), name="q")], "X X .", id="a tie of the same action is none"),
    param([cnp(ingress("Pass", TEAM_TWO)), cnp(ingress("Accept", EVERYBODY), name="q")], ". . .", id="a tie with the same end is none"),
    param([cnp(ingress("Pass", TEAM_TWO)), cnp(ingress("Deny", EVERYBODY), name="q", priority=6)], "X . .", id="Pass: past the other policies of the tier"),
    param([cnp(ingress("Deny", EVERYBODY, more=", protocols: [{udp: {destinationPort: {number: 80}}}]"))], ". . .", id="another protocol"),
    param([cnp(ingress("Deny", EVERYBODY, more=", protocols: [{udp: {destinationPort: {number: 80}}}, {tcp: {destinationPort: {range: {start: 79, end: 80}}}}]"))], "X X .", id="protocols are OR; a range includes its ends"),
    param([cnp(ingress("Deny", EVERYBODY, more=", protocols: [{destinationNamedPort: web}]"))], "X X .", id="a port by name, whatever the protocol"),
    param([cnp(ingress("Deny", EVERYBODY), subject="{namespaces: {matchLabels: {team: two}}}")], ". . .", id="another subject"),
]  # fmt: skip


@pytest.mark.parametrize(("policies", "expected"), INGRESS)
def test_who_reaches_a_pod(policies: list[Policy], expected: str) -> None:
    assert marks(stage(*policies), TO_X_A, KNP) == expected


EGRESS = [
    param(egress("Deny", "{networks: [10.244.2.0/24]}"), ". X .", id="networks match pods"),
    param(egress("Deny", "{networks: [0.0.0.0/0]}"), "X X X", id="... and addresses outside"),
    param(egress("Deny", "{networks: ['::/0']}"), ". . .", id="of their family"),
    param(egress("Deny", EVERYBODY), "X X .", id="namespaces are pods only"),
    param(egress("Deny", "{nodes: {}}"), ". . .", id="no node is a pod"),
    param("egress: [{action: Accept, to: [{domainNames: [example.com]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}]", "X X X!", id="a domain name may be any address outside"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "expected"), EGRESS)
def test_whom_a_pod_reaches(rules: str, expected: str) -> None:
    assert marks(stage(cnp(rules)), FROM_X_A, KNP) == expected


def staged(*policies: Policy) -> Cluster:
    """With Node objects, of which one has a label."""
    nodes = {name: Node(name, {"zone": "a"} if name == "n2" else {}, (a,)) for name, a in NODES.items()}
    return replace(stage(*policies), nodes=nodes)


NODE_PEERS = [  #                            x/a to its other node, and to an address outside
    param("Deny", KNP, "X .", id="the addresses of nodes"),
    param("Accept", CALICO, ". .", id="Calico: Accept does not exist"),
    param("Deny", CALICO, "X! X!", id="Calico: Deny denies everything"),
    param("Pass", CALICO, "X! X!", id="Calico: so does Pass"),
]


@pytest.mark.parametrize(("action", "profile", "expected"), NODE_PEERS)
def test_nodes(action: str, profile: Profile, expected: str) -> None:
    cluster = staged(cnp(egress(action, "{nodes: {matchLabels: {zone: a}}}")))
    assert marks(cluster, ["x/a -> 172.31.255.2 80", "x/a -> out 80"], profile) == expected


HIDDEN = [  # of x/a: a Baseline that denies, and a NetworkPolicy for the other direction
    (CALICO, "X! X! ."),
    (CILIUM, "X! X! ."),
    (ANTREA, "X! X! ."),
    (KNP, ".! .! ."),
]


@pytest.mark.parametrize(("profile", "expected"), HIDDEN, ids=lambda one: getattr(one, "name", None))
def test_a_network_policy_of_the_other_direction(profile: Profile, expected: str) -> None:
    assert marks(stage(BASELINE, OTHER_WAY), TO_X_A, profile) == expected


NOBODY = "{namespaces: {matchLabels: {team: nobody}}}"
TIED = [
    cnp(ingress("Deny", EVERYBODY), tier="Baseline"),
    cnp(ingress("Accept", TEAM_TWO), name="q", tier="Baseline"),
]
LATE_PORTS = replace(rule(), action=Action.DENY, source_ports=(PortRange(first=40000, last=50000),))
LETS_LATE_PORTS_IN = policy("x/np", app("a"), ingress=[replace(LATE_PORTS, action=Action.ALLOW)])
REASONS = [
    param(TIED, None, Doubt.TIE, id="a tie"),
    param([*TIED, OTHER_WAY], None, Doubt.BASELINE, id="a tie of policies that are hidden"),
    param([cnp(ingress("Deny", "{future: {}}")), cnp(ingress("Deny", NOBODY), name="q"), OTHER_WAY], BASELINE, Doubt.UNKNOWN_PEER, id="an unknown peer beside a tie that decides nothing"),
    param([cnp(ingress("Deny", NOBODY)), cnp(ingress("Deny", NOBODY), name="q")], replace(cnp("ingress: []", priority=6), ingress=(LATE_PORTS,)), Doubt.SOURCE_PORT, id="ports of clients beside it"),
    param([cnp(ingress("Deny", "{future: {}}"))], LETS_LATE_PORTS_IN, Doubt.UNKNOWN_PEER, id="the first of two that make it together"),
]  # fmt: skip


@pytest.mark.parametrize(("policies", "last", "reason"), REASONS)
def test_the_reason_is_what_makes_the_difference(
    policies: list[Policy], last: Policy | None, reason: Doubt
) -> None:
    cluster = stage(*policies, *([last] if last else []))
    assert decide(cluster, "y/a -> x/a 80", KNP).undefined == reason.value


def test_a_denial_of_the_other_side_leaves_nothing_open() -> None:
    unknown = cnp(ingress("Deny", "{future: {}}"))
    assert marks(stage(unknown, policy("y/p", egress=())), ["x/b -> x/a 80", "y/a -> x/a 80"]) == "X! X"


def test_a_tie_of_a_named_port_is_that_of_the_pods_that_have_it() -> None:
    named = ingress("Accept", TEAM_TWO, more=", protocols: [{destinationNamedPort: web}]")
    tied = [
        cnp(rules, name=name, subject="{namespaces: {matchLabels: {team: one}}}")
        for name, rules in (("p", named), ("q", ingress("Deny", EVERYBODY)))
    ]
    flows = ["y/a -> x/a 80", "y/a -> x/b 80", "y/a -> x/b 81", "y/a -> x/e 80", "z/a -> x/e 80"]
    assert marks(stage(*tied), flows, KNP) == ".! X .! .! X"


@pytest.mark.parametrize(("profile", "mark"), [(CALICO, "X! X"), (KNP, ".! X")], ids=["calico", "others"])
def test_it_counts_for_the_pods_that_it_selects(profile: Profile, mark: str) -> None:
    everywhere = cnp(ingress("Deny", EVERYBODY), tier="Baseline", subject=EVERYBODY)
    cluster = stage(everywhere, policy("y/np", app("b"), egress=(rule(),)))
    assert marks(cluster, ["x/a -> y/b 80", "y/b -> x/a 80"], profile) == mark


def test_a_tie_beside_a_policy_of_calico() -> None:
    tied = [cnp(ingress("Accept", TEAM_TWO)), cnp(ingress("Deny", EVERYBODY), name="q")]
    assert marks(stage(*tied, gnp("kube-admin", "a", order=1)), TO_X_A) == "X .! ."


def test_a_network_policy_of_both_directions_hides_nothing() -> None:
    """Calico's Pass in the tier of NetworkPolicies leads past one that isolates, to Baseline."""
    passing = gnp("default", "a", order=1, ingress=[{"action": "Pass"}])
    isolates = policy("x/other", app("a"), ingress=())
    assert marks(stage(BASELINE, OTHER_WAY, passing), TO_X_A) == "X! X! ."
    assert marks(stage(BASELINE, OTHER_WAY, isolates, passing), TO_X_A) == "X X ."
    assert marks(stage(BASELINE, isolates, OTHER_WAY, passing), TO_X_A) == "X X ."


@pytest.mark.parametrize("profile", [CALICO, KNP], ids=lambda profile: profile.name)
def test_a_baseline_policy_of_other_pods_leaves_nothing_open(profile: Profile) -> None:
    """x/a has a NetworkPolicy for ingress only, and no Baseline policy that it could hide for egress."""
    both_ways = f"{ingress('Deny', NOBODY)}\n{egress('Deny', NOBODY)}"
    cluster = stage(cnp(both_ways, tier="Baseline", subject=TEAM_TWO), ISOLATES)
    assert marks(cluster, ["x/a -> y/a 80"], profile) == "."


FUTURE = [
    param("Accept", "X X .", id="Accept matches nothing"),
    param("Deny", "X! X! X!", id="Deny denies everything"),
    param("Pass", "X! X! X!", id="Pass denies everything"),
]


@pytest.mark.parametrize(("action", "expected"), FUTURE)
@pytest.mark.parametrize("profile", [CALICO, KNP], ids=lambda profile: profile.name)
def test_a_peer_of_a_newer_definition_fails_closed(action: str, expected: str, profile: Profile) -> None:
    policies = [cnp(ingress(action, "{future: {}}"))]
    policies += [BASELINE] if action == "Accept" else []
    assert marks(stage(*policies), TO_X_A, profile) == expected


SETS = [  # the namespace of the set, the peer, the marks with Calico and others
    ("y", TEAM_TWO, "X! ."),
    ("x", TEAM_TWO, ". ."),
    ("y", EVERYBODY, "X! ."),
    ("", EVERYBODY, ". ."),
]


@pytest.mark.parametrize(("namespace", "peer", "expected"), SETS)
def test_on_calico_a_namespaces_peer_matches_network_sets(namespace: str, peer: str, expected: str) -> None:
    office = NetworkSet(namespace, "office", {}, (ip_network("203.0.113.0/24"),))
    cluster = replace(stage(cnp(ingress("Deny", peer))), network_sets=(office,))
    assert " ".join(marks(cluster, ["out -> x/a 80"], profile) for profile in (CALICO, KNP)) == expected


def test_of_a_node_without_an_object_the_name_is_known() -> None:
    names = (f"{{nodes: {{matchLabels: {{kubernetes.io/hostname: {name}}}}}}}" for name in ("n1", "n2"))
    found = [marks(stage(cnp(egress("Deny", peer))), ["x/a -> 172.31.255.2 80"], KNP) for peer in names]
    assert found == [".!", "X!"]


def test_a_pod_that_is_two_nodes_is_each_of_them() -> None:
    """It says that it runs on n2, and has the address of n1."""
    cluster = staged(cnp(egress("Deny", "{nodes: {matchLabels: {zone: a}}}")))
    host = pod("y/h", {}, "172.31.255.1", node="n2", host_network=True)
    for each in (host, replace(host, addresses=(), node_addresses=())):
        assert marks(replace(cluster, pods={**cluster.pods, host.ref: each}), ["x/a -> y/h 80"], KNP) == "X!"


def test_peers_that_are_not_known_do_not_match_the_first_pods_either() -> None:
    closed = cnp(
        f"{ingress('Deny', EVERYBODY)}\n{egress('Deny', EVERYBODY)}", tier="Baseline", subject=TEAM_TWO
    )
    allowing = f"{ingress('Accept', '{future: {}}')}\n{egress('Accept', '{domainNames: [example.com]}')}"
    cluster = stage(cnp(allowing, subject=TEAM_TWO), closed)
    assert marks(cluster, ["x/a -> y/a 80", "y/a -> x/a 80"], KNP) == "X X"


def test_pods_on_their_nodes_network_are_neither_subjects_nor_peers() -> None:
    everything = cnp(f"{ingress('Deny', EVERYBODY)}\n{egress('Deny', EVERYBODY)}", subject="{namespaces: {}}")
    host = also(pod("y/h", {"app": "b"}, "172.31.255.2", node="n2", host_network=True))
    assert marks(stage(everything, pods=host), ["y/h -> x/a 80", "x/a -> y/h 80"], KNP) == ".! .!"


def test_a_pod_to_itself_is_exempt() -> None:
    assert marks(stage(cnp(f"{ingress('Deny', EVERYBODY)}")), ["x/a -> x/a 80"]) == "."


def test_a_tier_of_manifests_that_is_not_there_leaves_the_verdict_unknown() -> None:
    closed = policy("x/np", app("b"), ingress=())
    cluster = stage(gnp("t9", "a"), closed)
    flows = ["x/b -> x/a 80", "x/a -> x/b 80", "x/a -> y/a 80"]
    assert marks(cluster, flows) == "X X X"
    manifests = replace(cluster, tiers_known=False)
    assert marks(manifests, flows) == "? X ?"
    assert marks(manifests, [f"{NODES['n1']} -> x/a 80"]) == ".", "a node always reaches its pods"
    assert "--tier" in (decide(manifests, "x/b -> x/a 80").reason or "")


def test_kinds_that_only_calico_has_do_not_count_elsewhere() -> None:
    cluster = stage(gnp("default", "a"))
    found = [marks(cluster, ["x/b -> x/a 80"], profile) for profile in (CALICO, CILIUM, KNP, ANTREA)]
    assert found == ["X", ".", ".", "."]


UNSIMULATED = [
    param(Unsimulated(PolicyRef("x", "wall", "CiliumNetworkPolicy")), "yes no yes", id="of one namespace"),
    param(Unsimulated(PolicyRef("w", "wall", "CiliumNetworkPolicy")), "no no no", id="of one without pods"),
    param(Unsimulated(PolicyRef("", "wall", "CiliumClusterwideNetworkPolicy")), "yes yes yes", id="of the cluster"),
    param(Unsimulated(PolicyRef("", "eth0", "HostEndpoint"), hosts=True), "no no yes", id="of nodes"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "expected"), UNSIMULATED)
def test_what_is_not_simulated_qualifies_what_it_may_affect(what: Unsimulated, expected: str) -> None:
    cluster = replace(stage(), unsimulated=(what,))
    flows = ["x/b -> y/a 80", "y/a -> z/a 80", "out -> x/a 80"]
    found = ["yes" if decide(cluster, flow).qualified_by == (what,) else "no" for flow in flows]
    assert " ".join(found) == expected
    for flow, (source, _, destination, _) in ((flow, flow.split()) for flow in flows[:2]):
        asked = read_question(
            cluster, sources=[source], destinations=[destination], ports=[(80, Protocol.TCP)]
        )
        (bundle,) = AllPairs(asked).overview().bundles
        assert bundle.qualified_by == decide(cluster, flow).qualified_by
