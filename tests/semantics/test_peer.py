"""Who a rule's peers are. The subject is x/a, the peers are the columns; a row holds for both directions."""

from __future__ import annotations

import pytest

from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import ServiceRef
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Operator, Requirement, Selector
from netprobe.model.policy import AllPeers, AnyPeer, Direction, NotPeer, Peer, PodPeer, ServicePeer
from tests.semantics.stage import app, block, expression, facing, marks, param, policy, rule, stage, toward

PEERS = "x/b x/e x/n y/a y/b z/a out"
ONE, TWO = Selector.of({"team": "one"}), Selector.of({"team": "two"})
A = app("a")
B = app("b")

PEER = [  #                                                         x/b e n y/a b z/a out
    param([AnyPeer()], ". . . . . . .", id="no from/to, or []: every peer, external addresses included"),
    param([PodPeer(B)], ". X X X X X X", id="podSelector alone: pods of the policy's own namespace"),
    param(
        [PodPeer(EVERYTHING)], ". . . X X X X", id="podSelector {}: everything of the policy's own namespace"
    ),
    param(
        [PodPeer(EVERYTHING, TWO)],
        "X X X . . X X",
        id="namespaceSelector alone: all pods of those namespaces",
    ),
    param([PodPeer(B, TWO)], "X X X X . X X", id="both in ONE peer: AND"),
    param([PodPeer(B), PodPeer(EVERYTHING, TWO)], ". X X . . X X", id="in TWO peers: OR"),
    param(
        [PodPeer(EVERYTHING, EVERYTHING)],
        ". . . . . . X",
        id="namespaceSelector {}: all pods, nothing outside",
    ),
    param(
        [PodPeer(B, EVERYTHING)],
        ". X X X . X X",
        id="namespaceSelector {} with a podSelector: those everywhere",
    ),
    param([PodPeer(A)], "X X X X X X X", id="absent is not {}: without namespaceSelector y/a does not match"),
    param(
        [PodPeer(A, ONE)], "X X X X X X X", id="a namespaceSelector that holds for the own namespace alone"
    ),
    param(
        [PodPeer(EVERYTHING, Selector.of({NAME_LABEL: "z"}))],
        "X X X X X . X",
        id="kubernetes.io/metadata.name is on every namespace, always its name",
    ),
    param(
        [PodPeer(EVERYTHING, expression("team", Operator.DOES_NOT_EXIST))],
        "X X X X X . X",
        id="a namespace without the label",
    ),
    param([PodPeer(app("none"))], "X X X X X X X", id="a selector that no pod matches"),
    param(
        [PodPeer(EVERYTHING, app("a"))],
        "X X X X X X X",
        id="namespaceSelector looks at namespaces, not at pods",
    ),
    param([PodPeer(TWO, TWO)], "X X X X X X X", id="podSelector looks at pods, not at namespaces"),
    param([block("10.244.1.0/28")], ". . X X X X X", id="ipBlock: addresses inside, pods' too"),
    param(
        [PodPeer(B), block("203.0.113.0/24")], ". X X X X X .", id="a selector and a block in two peers: OR"
    ),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("peers", "expected"), PEER)
def test_peers(direction: Direction, peers: list[Peer], expected: str) -> None:
    cluster = stage(facing(direction, "x/p", A, rule(peers)))
    assert marks(cluster, toward(direction, "x/a", PEERS)) == expected


S = ServiceRef("x", "s")
BEHIND, ON_PORTS = ServicePeer(S), ServicePeer(S, on_ports=True)
TO_SERVICE = ["x/a -> x/b 80", "x/a -> x/b 81", "x/a -> x/b 81/UDP", "x/a -> y/b 81", "x/a -> out 81"]
SERVICE_PEER = [  #                                                   x/b:80 :81 UDP y/b out
    param([BEHIND], ". . . X X", id="the pods behind a Service, on every port"),
    param([ON_PORTS], "X . X X X", id="on the ports that it forwards to"),
    param([NotPeer(BEHIND)], "X X X . .", id="not the pods behind it"),
    param([NotPeer(ON_PORTS)], ". X . . .", id="not the ports behind it"),
    param([AllPeers((PodPeer(B, EVERYTHING), ON_PORTS))], "X . X X X", id="both of a selector and ports"),
    param([AllPeers((PodPeer(A), ON_PORTS))], "X X X X X", id="a selector of other pods"),
    param([AllPeers((PodPeer(B), BEHIND))], ". . . X X", id="both of a selector and pods"),
    param([block("203.0.113.0/24"), ON_PORTS], "X . X X .", id="addresses, or ports behind it"),
    param([ServicePeer(ServiceRef("x", "gone"))], "X X X X X", id="a Service that does not exist"),
]


@pytest.mark.parametrize(("peers", "expected"), SERVICE_PEER)
def test_services_as_peers(peers: list[Peer], expected: str) -> None:
    service = Service(S, {"app": "b"}, ports=(ServicePort(8000, "web"),))
    cluster = stage(policy("x/p", A, egress=[rule(peers)]), services=[service])
    assert marks(cluster, TO_SERVICE) == expected


def requirement(key: str, operator: Operator, *values: str) -> Requirement:
    return Requirement(key, operator, values)


SELECTOR = [  #                                                      x/a  b  e  n
    param(Selector(), ". . . .", id="{}: everything of its kind"),
    param(app("a"), ". X X X", id="matchLabels: the key must be present with this value"),
    param(app(""), "X X . X", id="an empty value matches only a present, empty value"),
    param(Selector.of({"app": "a", "tier": "t"}), "X X X X", id="matchLabels: all of them"),
    param(
        expression("app", Operator.IN, "a"),
        ". X X X",
        id="In: the key must be present with one of the values",
    ),
    param(expression("app", Operator.IN, "a", "b"), ". . X X", id="In: any of the values"),
    param(expression("app", Operator.IN, ""), "X X . X", id="In with an empty value: present and empty"),
    param(expression("app", Operator.EXISTS), ". . . X", id="Exists: the key is present, an empty value too"),
    param(
        expression("app", Operator.NOT_IN, "a"), "X . . .", id="NotIn matches also where the key is absent"
    ),
    param(expression("app", Operator.NOT_IN, "a", "b"), "X X . .", id="NotIn: none of the values"),
    param(
        expression("app", Operator.NOT_IN, ""),
        ". . X .",
        id="NotIn with an empty value spares the absent key",
    ),
    param(expression("app", Operator.DOES_NOT_EXIST), "X X X .", id="DoesNotExist: the key is absent"),
    param(
        Selector.of({}, requirement("app", Operator.EXISTS), requirement("app", Operator.NOT_IN, "a")),
        "X . . X",
        id="several expressions: all of them",
    ),
    param(
        Selector.of({"app": "b"}, requirement("app", Operator.IN, "a", "b")),
        "X . X X",
        id="matchLabels and matchExpressions: all of them",
    ),
    param(
        Selector.of({"app": "b"}, requirement("app", Operator.IN, "a")),
        "X X X X",
        id="matchLabels and an expression that contradict each other",
    ),
    param(
        expression("none", Operator.NOT_IN, "a"), ". . . .", id="NotIn on a key that nobody has: everybody"
    ),
    param(expression("none", Operator.EXISTS), "X X X X", id="Exists on a key that nobody has: nobody"),
    param(expression("none", Operator.DOES_NOT_EXIST), ". . . .", id="DoesNotExist on it: everybody"),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("selector", "expected"), SELECTOR)
def test_a_selector_of_peers(direction: Direction, selector: Selector, expected: str) -> None:
    cluster = stage(facing(direction, "z/p", None, rule([PodPeer(selector, ONE)])))
    assert marks(cluster, toward(direction, "z/a", "x/a x/b x/e x/n")) == expected


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("selector", "expected"), SELECTOR)
def test_a_selector_of_subjects(direction: Direction, selector: Selector, expected: str) -> None:
    """Whom it selects is isolated, so the marks turn round."""
    cluster = stage(facing(direction, "x/p", selector))
    asked = [toward(direction, subject, "y/a")[0] for subject in ("x/a", "x/b", "x/e", "x/n")]
    assert marks(cluster, asked).translate(str.maketrans(".X", "X.")) == expected


def test_a_selector_is_written_as_kubectl_writes_it() -> None:
    both = Selector.of({"a": "b"}, Requirement("c", Operator.NOT_IN, ("d", "e")))
    assert [str(both), str(EVERYTHING)] == ["a=b,c notin (d, e)", "everything"]
