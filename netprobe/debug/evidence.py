"""What was found out about blocked traffic, step by step, as plain data. Causes are predicates over it.

question   what was asked                     Question
source     who sends                          Source
name       what a DNS name stands for         Name
service    the Service and its pods           ServiceState
legs       where the traffic ends, and what the policies say about each such end    Leg
packets    what was tried, what the policies say about it, and what happened        Packets
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from netprobe.explain import Explanation
from netprobe.model.flow import Address, ContainerPort, External, Family, Flow, PodRef, Protocol, ServiceRef
from netprobe.model.observation import Outcome
from netprobe.model.policy import Direction
from netprobe.model.text import listed
from netprobe.model.verdict import Decision, Verdict

LOST = frozenset({Outcome.TIMED_OUT, Outcome.HOST_UNREACHABLE, Outcome.NETWORK_UNREACHABLE})
"""Outcomes of packets that got no answer. A refusal is an answer: of the pod, or of a rule that rejects."""


WORDS: Final[Mapping[Outcome, str]] = {
    Outcome.CONNECTED: "connects",
    Outcome.REFUSED: "refused",
    Outcome.TIMED_OUT: "no answer",
    Outcome.HOST_UNREACHABLE: "host unreachable",
    Outcome.NETWORK_UNREACHABLE: "no route",
    Outcome.NO_SUCH_NAME: "no such name",
    Outcome.EXEC_FAILED: "the probe failed",
    Outcome.SKIPPED: "not tried",
}


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod as its status shows it; phase "" if only a template describes it.

    `why`: why it is not ready, "" if it is.
    """

    ref: PodRef
    node: str | None
    phase: str
    ready: bool
    why: str = ""
    ports: tuple[ContainerPort, ...] = ()
    host_network: bool = False

    @property
    def runs(self) -> bool:
        return self.phase in {"Running", ""}

    def __str__(self) -> str:
        return str(self.ref)


@dataclass(frozen=True, slots=True)
class Source:
    """FROM. `kind` is "Pod", "Namespace", "address" or a workload's kind; `pod` is the one that is used.

    `address`: FROM is an address outside the cluster. Neither pod nor address: it has no pods.
    """

    text: str
    kind: str
    pods: tuple[PodState, ...] = ()
    pod: PodState | None = None
    address: External | None = None

    @property
    def runs(self) -> bool:
        return self.address is not None or (self.pod is not None and self.pod.runs)

    @property
    def end(self) -> PodRef | External | None:
        return self.address or (self.pod.ref if self.pod else None)

    def __str__(self) -> str:
        return str(self.end or self.text)


@dataclass(frozen=True, slots=True)
class Name:
    """The DNS name of the destination. `given`: TO is a name or a URL, not a Service.

    `in_cluster`: it is a name of the cluster's own domain. `service` is what it stands for there; if there is
    none, `elsewhere` are Services of that name in other namespaces, and `near` ones with a similar name.
    """

    text: str
    given: bool
    in_cluster: bool
    service: ServiceRef | None = None
    elsewhere: tuple[ServiceRef, ...] = ()
    near: tuple[ServiceRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A Service and the port of it. `target` None: it has no such port.

    `pods` are those that it selects, `almost` those that lack one label only, `idle` workloads whose pods it
    would select. `endpoints` are addresses from EndpointSlices, None if they may not be read. `targets` is
    each pod's port number behind a named target; None: no container of it has that name.
    """

    ref: ServiceRef
    selector: Mapping[str, str] | None
    port: int
    protocol: Protocol
    target: int | str | None
    ports: tuple[str, ...]
    headless: bool
    external_name: str | None
    pods: tuple[PodState, ...]
    almost: Mapping[str, str]
    idle: tuple[str, ...]
    endpoints: tuple[str, ...] | None
    targets: Mapping[PodRef, int | None]
    publishes_unready: bool = False

    @property
    def ready(self) -> tuple[PodState, ...]:
        return self.pods if self.publishes_unready else tuple(pod for pod in self.pods if pod.ready)


class Miss(Enum):
    """In what a policy almost allows a flow."""

    LABEL = "label"
    NAMESPACE = "namespace"
    PORT = "port"
    PROTOCOL = "protocol"
    SERVICE_PORT = "Service port"
    POLICY_TYPES = "policyTypes"


@dataclass(frozen=True, slots=True)
class NearMiss:
    """The one thing that keeps a policy from allowing a flow; `text` is a clause about it."""

    policy: str
    miss: Miss
    text: str


@dataclass(frozen=True, slots=True)
class Denial:
    """One side of a leg that policies deny.

    `names` are the policies that decide, with kind and tier if `other`: they are not NetworkPolicies alone.
    `host_network`: it would be allowed if the pod at the other end were not on its node's network.
    """

    direction: Direction
    names: tuple[str, ...]
    other: bool = False
    near: NearMiss | None = None
    host_network: bool = False

    @property
    def policies(self) -> str:
        return listed(self.names)

    def verb(self, stem: str) -> str:
        """ "isolates" for one policy, "isolate" for several."""
        return f"{stem}s" if len(self.names) == 1 else stem


@dataclass(frozen=True, slots=True)
class Leg:
    """One pod, or one address outside, that the traffic ends at, over one address family."""

    flow: Flow
    address: Address | None
    node: str | None
    decision: Decision
    denials: tuple[Denial, ...] = ()
    explanation: Explanation | None = None
    host_network: bool = False
    proven: bool = False
    """A readiness probe of the pod passes on this port."""

    @property
    def end(self) -> str:
        return str(self.flow.destination)

    @property
    def denied(self) -> bool:
        return self.decision.verdict is Verdict.DENY

    @property
    def port(self) -> str:
        return f"{self.flow.port}/{self.flow.protocol.value}"

    def __str__(self) -> str:
        return f"{self.end}:{self.flow.port}"


class Sender(Enum):
    SOURCE = "source"
    FREE = "policy-free pod"


class Aim(Enum):
    """What a try is for."""

    LEG = "leg"  # one of the pods or addresses that the traffic ends at
    SERVICE = "service"  # the address of the Service
    NAME = "name"
    DNS = "dns"  # a name that every cluster has: whether the DNS server answers
    CONTROL = "control"  # a server of the run that no policy selects, on a node
    OTHER_PORT = "other-port"  # another port of a leg's pod


@dataclass(frozen=True, slots=True)
class Try:
    """What was tried from a pod on `node`, what the policies say of it, and all outcomes in order."""

    sender: Sender
    aim: Aim
    node: str | None
    to: str
    to_node: str | None
    host: str
    port: int
    protocol: Protocol
    family: Family | None
    expected: Verdict
    outcomes: tuple[Outcome, ...] = ()
    latency_ms: float | None = None
    text: str = ""

    @property
    def outcome(self) -> Outcome:
        return self.outcomes[-1] if self.outcomes else Outcome.SKIPPED

    @property
    def connected(self) -> bool:
        return self.outcome is Outcome.CONNECTED

    @property
    def resolved(self) -> bool:
        """Of a name: whether it has an address, whatever happened then."""
        return self.outcome not in {Outcome.NO_SUCH_NAME, Outcome.EXEC_FAILED, Outcome.SKIPPED}

    @property
    def denied(self) -> bool:
        """Whether the policies deny it."""
        return self.expected is Verdict.DENY

    @property
    def word(self) -> str:
        return WORDS[self.outcome]

    @property
    def from_free_pod(self) -> bool:
        return self.sender is Sender.FREE

    @property
    def lost(self) -> bool:
        """No answer, though the policies allow it."""
        return self.expected is Verdict.ALLOW and self.outcome in LOST

    @property
    def refused(self) -> bool:
        """Refused, though the policies allow it."""
        return self.expected is Verdict.ALLOW and self.outcome is Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket of the destination, as its /proc/net/tcp shows it."""

    address: str
    port: int

    @property
    def loopback(self) -> bool:
        return self.address.startswith("127.") or self.address == "::1"


@dataclass(frozen=True, slots=True)
class Canary:
    """Whether a policy that the run created is in force on a node; None: not known. `seen_s`: for how long
    it was watched, or how long it took.
    """

    node: str
    in_force: bool | None
    seen_s: float


@dataclass(frozen=True, slots=True)
class Packets:
    """What was sent. `lag_s`: so long it took until the source's packets did what the policies say; None if
    they did at once, or not at all. `as_source`: False if the shadow pod cannot stand for the source.
    """

    run: str
    tries: tuple[Try, ...]
    canaries: tuple[Canary, ...] = ()
    lag_s: float | None = None
    listeners: Mapping[PodRef, tuple[Listener, ...]] = field(default_factory=dict)
    kernel: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def all(self, aim: Aim, sender: Sender | None = None) -> Iterator[Try]:
        return (one for one in self.tries if one.aim is aim and sender in (None, one.sender))

    def leg(self, leg: Leg, sender: Sender = Sender.SOURCE) -> Try | None:
        wanted = leg.end, leg.flow.port, leg.flow.family
        found = (one for one in self.all(Aim.LEG, sender) if (one.to, one.port, one.family) == wanted)
        return next(found, None)

    def control(self, node: str | None, sender: Sender) -> Try | None:
        """From the source's node to a policy-free pod on another, or on the same one."""
        return next((one for one in self.all(Aim.CONTROL, sender) if one.to_node == node), None)

    def within(self, node: str | None) -> Try | None:
        """From one policy-free pod to another on the same node."""
        tries = self.all(Aim.CONTROL, Sender.FREE)
        return next((one for one in tries if one.node == one.to_node == node), None)

    def in_force(self, node: str | None) -> bool | None:
        """Whether a new policy is in force on a node."""
        return next((one.in_force for one in self.canaries if one.node == node), None)


@dataclass(frozen=True, slots=True)
class Question:
    """FROM, TO, and the port."""

    source: str
    destination: str
    port: int
    protocol: Protocol

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.port}/{self.protocol.value}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known. `packets` None: nothing was sent, and `unsent` says why.

    `pods`: those that TO names, not by way of a Service. `dns`: the way to the cluster's DNS server.
    `others`: policies that are not simulated, as phrases. `network`: the network plugin, if it is known.
    """

    question: Question
    source: Source
    name: Name | None
    service: ServiceState | None
    pods: tuple[PodState, ...]
    legs: tuple[Leg, ...]
    dns: Leg | None = None
    packets: Packets | None = None
    unsent: str = ""
    others: tuple[str, ...] = ()
    network: str | None = None
    live: bool = True
    warnings: tuple[str, ...] = ()

    def seen(self, leg: Leg) -> Try | None:
        """The source's try of a leg."""
        return self.packets.leg(leg) if self.packets else None

    def connects(self, leg: Leg) -> bool:
        found = self.seen(leg)
        return found is not None and found.connected

    def free(self, leg: Leg) -> Try | None:
        """A policy-free pod's try of a leg."""
        return self.packets.leg(leg, Sender.FREE) if self.packets else None

    def outcome(self, aim: Aim, sender: Sender = Sender.SOURCE) -> Outcome | None:
        """The outcome of the first try of that kind; None: nothing of it was tried."""
        found = next(self.packets.all(aim, sender), None) if self.packets else None
        return found.outcome if found else None

    @property
    def outside(self) -> bool:
        """Whether the destination is outside the cluster."""
        return any(isinstance(leg.flow.destination, External) for leg in self.legs)

    def free_connects(self, leg: Leg) -> bool:
        found = self.free(leg)
        return found is not None and found.connected

    def listeners(self, leg: Leg) -> tuple[Listener, ...] | None:
        """What a leg's pod listens on; None: not read."""
        end = leg.flow.destination
        return self.packets.listeners.get(end) if self.packets and isinstance(end, PodRef) else None

    def dns_answers(self, sender: Sender = Sender.SOURCE) -> bool | None:
        """Whether the DNS server answers the source, or a policy-free pod; None: not tried."""
        found = next(self.packets.all(Aim.DNS, sender), None) if self.packets else None
        return None if found is None or found.outcome is Outcome.EXEC_FAILED else found.resolved

    def refuses(self, leg: Leg) -> bool:
        """Whether the pod refuses whoever the policies let through, and accepts nobody."""
        tries = [one for one in (self.seen(leg), self.free(leg)) if one is not None]
        return any(one.refused for one in tries) and not any(one.connected for one in tries)

    def reaches(self, end: str) -> bool:
        """Whether the source reaches a pod or address, over any family."""
        return any(self.connects(leg) for leg in self.legs if leg.end == end)

    def enforced(self, leg: Leg, denial: Denial) -> bool:
        """Whether a denial can be what blocks a leg: it is blocked, and the node enforces policies."""
        if self.connects(leg):
            return False
        node = self.deciding_node(leg, denial)
        return not (self.packets and self.packets.in_force(node) is False)

    def deciding_node(self, leg: Leg, denial: Denial) -> str | None:
        """The node whose rules deny it."""
        egress = denial.direction is Direction.EGRESS
        return self.source.pod.node if egress and self.source.pod else leg.node

    def plain(self, direction: Direction) -> list[tuple[Leg, Denial]]:
        """What NetworkPolicies deny on this side alone, with no better name for the cause."""
        return [
            (leg, denial)
            for leg, denial in self.denials()
            if denial.direction is direction
            and not (denial.other or denial.host_network or denial.near or self.at_both_ends(leg))
        ]

    def denials(self) -> Iterator[tuple[Leg, Denial]]:
        """What policies deny, as far as it is blocked."""
        for leg in self.legs:
            for denial in leg.denials:
                if self.enforced(leg, denial):
                    yield leg, denial

    def at_both_ends(self, leg: Leg) -> bool:
        """Whether NetworkPolicies deny a leg on both sides."""
        sides = [denial for other, denial in self.denials() if other is leg]
        return len(sides) == 2 and not any(denial.other or denial.host_network for denial in sides)

    def portion(self, legs: Iterable[Leg]) -> str:
        """The part of the destination that some legs are, as the end of a sentence; "" if it is all."""
        found = list(legs)
        families = {leg.flow.family for leg in found}
        ends = dict.fromkeys(leg.end for leg in found)
        every = dict.fromkeys(leg.end for leg in self.legs)
        text = ""
        if len(families) == 1 and any(
            leg.end in ends and leg.flow.family not in families for leg in self.legs
        ):
            text = f" over IPv{next(iter(families))}"
        if len(ends) < len(every):
            text += f" ({len(ends)} of {len(every)} backends: {listed(ends)})"
        return text
