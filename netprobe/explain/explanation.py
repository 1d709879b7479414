"""An explanation as data, for programs and for the text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from netprobe.manifests.change import ObjectChange
from netprobe.model.flow import Address, Flow
from netprobe.model.policy import Direction, Place, PolicyRef
from netprobe.model.verdict import Verdict


class ObstacleKind(Enum):
    """What did not match, in the order of the checks."""

    NOT_A_POD = "not-a-pod"  # a selector, and an address outside
    HOST_NETWORK = "host-network"  # a selector, and a pod on its node's network
    NAMESPACE = "namespace"  # a podSelector alone, and a pod of another namespace
    NAMESPACE_LABEL_MISSING = "namespace-label-missing"
    NAMESPACE_LABEL_DIFFERENT = "namespace-label-different"
    NAMESPACE_LABEL_PRESENT = "namespace-label-present"
    LABEL_MISSING = "label-missing"
    LABEL_DIFFERENT = "label-different"
    LABEL_PRESENT = "label-present"  # DoesNotExist, or NotIn with this very value
    ADDRESS_UNKNOWN = "address-unknown"
    ADDRESS_FAMILY = "address-family"
    ADDRESS_OUTSIDE = "address-outside"
    ADDRESS_EXCEPTED = "address-excepted"
    BLOCK_IGNORES_PODS = "block-ignores-pods"  # the network plugin does not compare blocks with it
    UNKNOWN_PEER = "unknown-peer"
    PROTOCOL = "protocol"
    PORT = "port"
    PORT_NAME = "port-name"  # the destination has no such named port, or another number behind it


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The first thing that did not match. `wanted` and `found` are short; `text` is a whole clause.

    `label` is the label (key, value) that would have matched, if a single one does.
    """

    kind: ObstacleKind
    text: str
    wanted: str
    found: str | None = None
    label: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of `from`, `to` or `ports`. No obstacle: it matches. `index` is None for an absent list."""

    index: int | None
    path: str
    says: str
    obstacle: Obstacle | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule and the flow: the rule allows it if some peer and some port match."""

    index: int
    path: str
    peers: tuple[Item, ...]
    ports: tuple[Item, ...]
    place: Place | None = None

    @property
    def peer_matches(self) -> bool:
        return any(item.obstacle is None for item in self.peers)

    @property
    def port_matches(self) -> bool:
        return any(item.obstacle is None for item in self.ports)

    @property
    def allows(self) -> bool:
        return self.peer_matches and self.port_matches


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy that selects the subject in this direction, with all of its rules."""

    policy: PolicyRef
    rules: tuple[RuleView, ...]
    place: Place | None = None

    @property
    def allows(self) -> bool:
        return any(rule.allows for rule in self.rules)


@dataclass(frozen=True, slots=True)
class SideView:
    """One end: the subject, and every policy that isolates it. Without any, everything is allowed.

    `assumed` are the addresses that blocks were compared with if the peer has none yet.
    """

    direction: Direction
    subject: str
    peer: str
    policies: tuple[PolicyView, ...]
    assumed: tuple[Address, ...] = ()

    @property
    def verdict(self) -> Verdict:
        denied = self.policies and not any(policy.allows for policy in self.policies)
        return Verdict.DENY if denied else Verdict.ALLOW


@dataclass(frozen=True, slots=True)
class SuggestedEdit:
    """One thing to change, as text and as data. `path` is inside the object that `target` names."""

    target: str
    path: str
    text: str
    change: ObjectChange
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The smallest known set of edits that changes the verdict to `verdict`. It has been simulated."""

    verdict: Verdict
    edits: tuple[SuggestedEdit, ...]

    @property
    def text(self) -> str:
        return " and ".join(edit.text for edit in self.edits)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a flow has its verdict.

    `parts` holds an explanation for each backend of a Service, or for each address family if they differ;
    `sides` is empty then, and if no policy was evaluated (`reason` says why).
    """

    flow: Flow
    verdict: Verdict
    answer: str
    sides: tuple[SideView, ...] = ()
    change: Suggestion | None = None
    reason: str | None = None
    undefined: str | None = None
    parts: tuple[Explanation, ...] = ()
