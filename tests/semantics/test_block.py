"""ipBlock: addresses in `cidr` and in none of `except`. Each row holds for both directions."""

from __future__ import annotations

import pytest

from netprobe.model.policy import Direction, Peer
from netprobe.simulate import CALICO, CILIUM, Profile
from tests.semantics.stage import app, block, facing, marks, param, rule, stage, toward

ENDS = "203.0.113.0 203.0.113.127 203.0.113.128 203.0.113.255 203.0.114.0 203.0.112.255"

EDGES = [
    param([block("203.0.113.0/24")], ". . . . X X", id="both edges of a block belong to it"),
    param([block("203.0.113.0/25")], ". . X X X X", id="its neighbour does not"),
    param([block("203.0.113.128/32")], "X X . X X X", id="/32 is one address"),
    param([block("0.0.0.0/0")], ". . . . . .", id="0.0.0.0/0 is every IPv4 address"),
    param([block("0.0.0.0/1")], "X X X X X X", id="0.0.0.0/1 is the lower half of them"),
    param([block("::/0")], "X X X X X X", id="::/0 is no IPv4 address"),
    param([block("203.0.113.0/24", "203.0.113.0/25")], "X X . . X X", id="except takes out of its own block"),
    param(
        [block("203.0.113.0/24", "203.0.113.0/32", "203.0.113.255/32")],
        "X . . X X X",
        id="several exceptions: none of them",
    ),
    param(
        [block("203.0.113.0/24", "203.0.113.0/25"), block("203.0.113.0/32")],
        ". X . . X X",
        id="another peer may allow an excepted address (union)",
    ),
    param(
        [block("203.0.113.0/24", "203.0.113.0/25"), block("203.0.112.0/23", "203.0.113.128/25")],
        ". . . . X .",
        id="an exception of one block says nothing about another",
    ),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("peers", "expected"), EDGES)
def test_addresses_outside(direction: Direction, peers: list[Peer], expected: str) -> None:
    cluster = stage(facing(direction, "x/p", app("a"), rule(peers)))
    assert marks(cluster, toward(direction, "x/a", ENDS)) == expected


@pytest.mark.parametrize("direction", Direction)
def test_another_policy_may_allow_an_excepted_address(direction: Direction) -> None:
    cluster = stage(
        facing(direction, "x/p", None, rule([block("203.0.113.0/24", "203.0.113.0/25")])),
        facing(direction, "x/q", None, rule([block("203.0.113.127/32")])),
    )
    assert marks(cluster, toward(direction, "x/a", ENDS)) == "X . . . X X"


PODS = "x/b x/n y/a z/a out"
OF_PODS = [  #                                                   x/b n y/a z/a out
    param(CALICO, [block("10.244.0.0/16")], ". . . . X", id="Calico: a block matches pods' addresses"),
    param(CALICO, [block("10.244.1.0/28")], ". X X X X", id="Calico: those inside"),
    param(CALICO, [block("10.244.1.2/32")], ". X X X X", id="Calico: a single one"),
    param(CALICO, [block("10.244.0.0/16", "10.244.1.0/24")], "X X . . X", id="Calico: except those"),
    param(CALICO, [block("0.0.0.0/0")], ". . . . .", id="Calico: 0.0.0.0/0 is pods and outside"),
    param(CILIUM, [block("10.244.0.0/16")], "X X X X X", id="Cilium: a block matches no pod"),
    param(CILIUM, [block("0.0.0.0/0")], "X X X X .", id="Cilium: 0.0.0.0/0 is what is outside"),
    param(CILIUM, [block("0.0.0.0/0", "203.0.113.0/24")], "X X X X X", id="Cilium: except that"),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("profile", "peers", "expected"), OF_PODS)
def test_blocks_against_pods(
    direction: Direction, profile: Profile, peers: list[Peer], expected: str
) -> None:
    cluster = stage(facing(direction, "x/p", app("a"), rule(peers)))
    assert marks(cluster, toward(direction, "x/a", PODS), profile) == expected
