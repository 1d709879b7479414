"""What was asked, read and tried, as plain data: the parts of the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from netprobe.explain import Explanation
from netprobe.model.flow import Address, ContainerPort, External, Flow, PodRef, Protocol, ServiceRef
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

    `in_cluster`: it is a name of the cluster's own domain. `service` is what it names there; if there is no
    such Service, `elsewhere` has Services of that name in other namespaces, and `near` similar names.
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
    """What was tried from a pod on `node`, what the policies say of it, and all outcomes in order.

    `host` is the address or name that was tried. Of a name, `flow` has the port only.
    """

    sender: Sender
    aim: Aim
    node: str | None
    flow: Flow
    host: str
    to_node: str | None
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
        return self.expected is Verdict.DENY

    @property
    def word(self) -> str:
        return WORDS[self.outcome]

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
class NodeEnforcement:
    """Whether a policy that the run created is in force on a node; None: not known.

    `seen_s`: how long it was watched, or how long it took.
    """

    node: str
    in_force: bool | None
    seen_s: float


@dataclass(frozen=True, slots=True)
class Packets:
    """What was sent. `lag_s`: seconds until the source's packets did what the policies say; None if they did
    at once, or not at all. `kernel`: what the counters of a lab's rules say.
    """

    run: str
    tries: tuple[Try, ...]
    canaries: tuple[NodeEnforcement, ...] = ()
    lag_s: float | None = None
    listeners: Mapping[PodRef, tuple[Listener, ...]] = field(default_factory=dict)
    kernel: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def all(self, aim: Aim, sender: Sender | None = None) -> Iterator[Try]:
        return (one for one in self.tries if one.aim is aim and sender in (None, one.sender))

    def leg(self, leg: Leg, sender: Sender = Sender.SOURCE) -> Try | None:
        wanted = leg.flow.destination, leg.flow.port, leg.flow.family
        tries = ((one, one.flow) for one in self.all(Aim.LEG, sender))
        return next((o for o, flow in tries if (flow.destination, flow.port, flow.family) == wanted), None)

    def control(self, node: str | None, sender: Sender) -> Try | None:
        """From the source's node to a policy-free pod on another, or on the same one."""
        return next((one for one in self.all(Aim.CONTROL, sender) if one.to_node == node), None)

    def within(self, node: str | None) -> Try | None:
        """From one policy-free pod to another on the same node."""
        tries = self.all(Aim.CONTROL, Sender.FREE)
        return next((one for one in tries if one.node == one.to_node == node), None)

    def in_force(self, node: str | None) -> bool | None:
        return next((one.in_force for one in self.canaries if one.node == node), None)


@dataclass(frozen=True, slots=True)
class Question:
    source: str
    destination: str
    port: int
    protocol: Protocol
