"""An explanation as data, for programs and for the text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from netprobe.manifests.change import Suggestion
from netprobe.model.flow import Address, Family, Flow
from netprobe.model.labels import Labels
from netprobe.model.policy import NETWORK_POLICY, Action, Direction, Place, PolicyRef, Unsimulated
from netprobe.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class FlowSide:
    """One side of a flow, in one address family."""

    direction: Direction
    flow: Flow
    family: Family | None


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
    OTHER_PEER = "other-peer"  # any other kind of peer
    OWN_END = "own-end"  # the rule has conditions for the subject too
    PROTOCOL = "protocol"
    PORT = "port"
    PORT_NAME = "port-name"  # the destination has no such named port, or another number behind it
    PORT_EXCEPTED = "port-excepted"
    SOURCE_PORT = "source-port"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The first thing that did not match. `wanted` and `found` are short; `text` is a whole clause.

    `labels` are all labels that are missing, if setting them is all that it takes to match.
    """

    kind: ObstacleKind
    text: str
    wanted: str
    found: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of `from`, `to` or `ports`. No obstacle: it matches. `index` is None for an absent list."""

    index: int | None
    path: str
    says: str
    obstacle: Obstacle | None = None
    place: Place | None = None


class Role(Enum):
    """What a rule does to a flow."""

    NO_MATCH = "no-match"
    DECIDES = "decides"
    PASSES = "passes"  # on to the next tier
    LOGS = "logs"
    SHADOWED = "shadowed"  # it matches too, after a rule that decides


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule and the flow: it matches if some peer, some port, and all further `conditions` match."""

    index: int
    path: str
    peers: tuple[Item, ...]
    ports: tuple[Item, ...]
    place: Place | None = None
    action: Action = Action.ALLOW
    name: str = ""
    conditions: tuple[Item, ...] = ()
    role: Role = Role.NO_MATCH

    @property
    def peer_matches(self) -> bool:
        return any(item.obstacle is None for item in self.peers)

    @property
    def port_matches(self) -> bool:
        return any(item.obstacle is None for item in self.ports)

    @property
    def matches(self) -> bool:
        others = all(item.obstacle is None for item in self.conditions)
        return self.peer_matches and self.port_matches and others

    @property
    def allows(self) -> bool:
        return self.matches and self.action is Action.ALLOW


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy that selects the subject in this direction, with all of its rules."""

    policy: PolicyRef
    rules: tuple[RuleView, ...]
    place: Place | None = None
    tier: str = ""

    @property
    def allows(self) -> bool:
        return any(rule.allows for rule in self.rules)


@dataclass(frozen=True, slots=True)
class TierView:
    """A tier in which policies apply to the subject.

    `outcome` is what it does with the flow: ALLOW, DENY or PASS. `by_default`: no rule matches. `reached`: no
    earlier tier has ended this side; otherwise `outcome` is what it would do.
    """

    name: str
    default: Action
    policies: tuple[PolicyView, ...]
    outcome: Action
    by_default: bool
    reached: bool = True


class NearMissKind(Enum):
    """What a policy lacks that would decide a flow."""

    LABELS = "labels"  # the subject does not have all labels of its podSelector
    NAMESPACE = "namespace"  # it is in another namespace than the pods that it describes
    DIRECTION = "direction"  # policyTypes does not include the direction


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A policy that would decide the flow if it applied to the subject. `labels`: what the subject lacks.

    `decides`: it would turn the verdict; otherwise it would allow other ports only.
    """

    policy: PolicyRef
    kind: NearMissKind
    text: str
    labels: tuple[tuple[str, str], ...] = ()
    place: Place | None = None
    decides: bool = True


@dataclass(frozen=True, slots=True)
class SideView:
    """One end: the subject, and the policies that apply to it by tier. Without any, everything is allowed.

    `assumed` are the addresses that blocks were compared with if the peer has none yet.
    """

    direction: Direction
    subject: str
    peer: str
    tiers: tuple[TierView, ...]
    assumed: tuple[Address, ...] = ()
    near: tuple[NearMiss, ...] = ()

    @property
    def policies(self) -> tuple[PolicyView, ...]:
        """In the order of evaluation."""
        return tuple(view for tier in self.tiers for view in tier.policies)

    @property
    def deciding(self) -> TierView | None:
        """The tier that ends this side; None if all pass, or no policy applies."""
        return next((tier for tier in self.tiers if tier.reached and tier.outcome is not Action.PASS), None)

    @property
    def verdict(self) -> Verdict:
        tier = self.deciding
        return Verdict.DENY if tier is not None and tier.outcome is Action.DENY else Verdict.ALLOW

    @property
    def plain(self) -> bool:
        """Whether only NetworkPolicies apply, so that there is nothing to say about tiers."""
        return all(view.policy.kind == NETWORK_POLICY for view in self.policies)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a flow has its verdict.

    `parts` holds an explanation for each backend of a Service, or for each address family if they differ;
    `sides` is empty then, and if no policy was evaluated (`reason` says why). `others` are flows
    between other pods of the same workloads that the same rules decide alike. `qualified_by` are the objects
    that may decide the flow too and are not simulated. `note` is a remark on the flow.
    """

    flow: Flow
    verdict: Verdict
    answer: str
    sides: tuple[SideView, ...] = ()
    change: Suggestion | None = None
    reason: str | None = None
    undefined: str | None = None
    parts: tuple[Explanation, ...] = ()
    others: tuple[Flow, ...] = ()
    qualified_by: tuple[Unsimulated, ...] = ()
    note: str | None = None


def as_text(labels: Labels | tuple[tuple[str, str], ...]) -> str:
    """ "app=web, tier=front"."""
    pairs = labels if isinstance(labels, tuple) else tuple(labels.items())
    return ", ".join(f"{key}={value}" for key, value in pairs)
