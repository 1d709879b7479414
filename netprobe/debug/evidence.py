"""What is known about blocked traffic, and the questions that causes ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.debug.records import (
    Aim,
    Denial,
    Leg,
    Listener,
    Name,
    Packets,
    PodState,
    Question,
    Sender,
    ServiceState,
    Source,
    Try,
)
from netprobe.model.flow import External, PodRef
from netprobe.model.observation import Outcome
from netprobe.model.policy import Direction
from netprobe.model.text import listed


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known. If `packets` is None, nothing was sent, and `unsent` says why.

    `pods` are those that TO names, not by way of a Service. `dns` is the way to the cluster's DNS server.
    `others` are policies that are not simulated, as phrases. `network` is the network plugin, if known.
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

    def first(self, aim: Aim, sender: Sender = Sender.SOURCE) -> Try | None:
        """The first try of that kind; None if there was none."""
        return next(self.packets.all(aim, sender), None) if self.packets else None

    @property
    def outside(self) -> bool:
        return any(isinstance(leg.flow.destination, External) for leg in self.legs)

    def free_connects(self, leg: Leg) -> bool:
        found = self.free(leg)
        return found is not None and found.connected

    def listeners(self, leg: Leg) -> tuple[Listener, ...] | None:
        """What a leg's pod listens on; None if that was not read."""
        end = leg.flow.destination
        return self.packets.listeners.get(end) if self.packets and isinstance(end, PodRef) else None

    def dns_answers(self, sender: Sender = Sender.SOURCE) -> bool | None:
        """Whether the DNS server answers the source, or a policy-free pod; None if that was not tried."""
        found = self.first(Aim.DNS, sender)
        return None if found is None or found.outcome is Outcome.EXEC_FAILED else found.resolved

    def refuses(self, leg: Leg) -> bool:
        """Whether the pod refuses connections that the policies allow, and accepts none."""
        tries = [one for one in (self.seen(leg), self.free(leg)) if one is not None]
        return any(one.refused for one in tries) and not any(one.connected for one in tries)

    def reaches(self, end: str) -> bool:
        """Whether the source reaches a pod or address, over any family."""
        return any(self.connects(leg) for leg in self.legs if leg.end == end)

    def answers_over_other_family(self, leg: Leg) -> bool:
        """Whether the pod of a leg accepts the source or a policy-free pod, but over the other family."""
        others = (one for one in self.legs if one.end == leg.end and one.flow.family != leg.flow.family)
        return any(self.connects(one) or self.free_connects(one) for one in others)

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
