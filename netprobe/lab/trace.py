"""The path of one connection through the rules of a lab, read from the rules' counters.

A rule only counts the first packets of new connections, and the rule that accepts or denies a packet is the
last that it meets on that side. So of all rules that one side of a flow can meet, exactly one counts. If
several have counted, there was other traffic at the same moment, and the trace is unclear.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

from netprobe.errors import LabError
from netprobe.lab.fabric import ruleset, services
from netprobe.lab.fabric.state import CountedRule
from netprobe.model.flow import Address, PodRef, ServiceRef
from netprobe.model.policy import Direction

RULES = "/netprobe/rules"
"""The path of a lab's API that lists the rules of every node with their counters."""

TRACE = "/netprobe/trace"
"""The path that traces one connection (api/trace.py)."""

Stage = Literal["service", "egress", "ingress"]
ENDING = {"accept", "drop", "reject"}
"""The verdicts that end a side; rules that log or pass on count too."""
_PLACE = re.compile(r"(?:egress|ingress) (\S+) rule (\d+)(?: peer (\d+))?(?: port (\d+))?")
_Chain = tuple[str, str, str]  # node, table, chain


class UnclearError(LabError):
    """There was other traffic at the same moment, or the rules changed; another try may succeed."""


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One stage of the path.

    `effect`: "translated", "refused" or "dropped" by a Service; "allowed", "denied", "not isolated" or
    "not enforced" by policies; "not seen" if no rule counted the packet. `by` is what counted it: the
    Service's port, or the policy ("NAMESPACE/NAME", with its kind in front if it is not a NetworkPolicy) with
    the numbers of its rule, peer and port entry. `isolating`: the policies of the tier that denies a packet
    which none of its rules matches. `to` is the endpoint that was chosen.
    """

    stage: Stage
    node: str
    effect: str
    by: str | None = None
    to: str | None = None
    rule: int | None = None
    peer: int | None = None
    port: int | None = None
    isolating: tuple[str, ...] = ()
    packets: int = 0


class RuleCounts:
    """What each rule counted between two readings. UnclearError if the rules themselves changed."""

    def __init__(self, before: Sequence[CountedRule], after: Sequence[CountedRule]) -> None:
        if list(map(_uncounted, before)) != list(map(_uncounted, after)):
            raise UnclearError("the rules changed while the connection was tried")
        self._chains: defaultdict[_Chain, list[tuple[CountedRule, int]]] = defaultdict(list)
        for old, new in zip(before, after, strict=True):
            more = (new.packets or 0) - (old.packets or 0)
            self._chains[new.node, new.table, new.chain].append((new, more))

    def service(self, node: str, port: str) -> TraceStep | None:
        """What a node did with a connection to "NAMESPACE/NAME port NUMBER/PROTOCOL"; None if it saw none."""
        table = services.NAME
        chosen = [
            (rule, more) for rule, more in self._all(node, table) if rule.comment == services.choice(port)
        ]
        packets = sum(more for _, more in chosen)
        if packets:
            ends = [
                rule.verdict.removeprefix("dnat ")
                for choice, more in chosen
                for chain in choice.verdict.split()[1:]
                for rule, hits in self._chains.get((node, table, chain), ())
                if more and hits and rule.verdict.startswith("dnat ")
            ]
            if len(set(ends)) != 1:
                raise UnclearError("there were other connections to the same endpoints at the same moment")
            return TraceStep("service", node, "translated", port, ends[0], packets=packets)
        for chain, effect in (("refuse", "refused"), ("unserved", "dropped")):
            hits = sum(more for _, more in self._chains.get((node, table, chain), ()))
            if hits:
                return TraceStep("service", node, effect, port, packets=hits)
        return None

    def policies(self, direction: Literal["egress", "ingress"], node: str, ref: PodRef) -> TraceStep:
        """What the policies of a pod did with the packet."""
        table = ruleset.POLICIES.name
        if not any(True for _ in self._all(node, table)):
            return TraceStep(direction, node, "not enforced")
        side = Direction(direction)
        denial, subject = ruleset.denial(side, ref), ruleset.subject(side, ref)
        denying = [rule.chain for rule, _ in self._all(node, table) if rule.comment == denial][:1]
        isolating = tuple(
            name.removeprefix(f"{direction}/") for chain in denying for name in self._jumps(node, chain)
        )
        own = [rule.chain for rule, _ in self._all(node, table) if rule.comment == subject] or denying
        met = [
            entry
            for chain in self._reachable(node, own)
            for entry in self._chains.get((node, table, chain), ())
        ]
        hit = [(rule, more) for rule, more in met if more and rule.verdict in ENDING]
        if not hit:
            effect = "not seen" if denying else "not isolated"
            return TraceStep(direction, node, effect, isolating=isolating)
        if len({rule.comment for rule, _ in hit}) > 1:
            raise UnclearError(f"the {direction} rules of {ref} counted other traffic at the same moment")
        rule, packets = hit[0][0], sum(more for _, more in hit)
        place = _PLACE.fullmatch(rule.comment)
        if place is None:
            return TraceStep(direction, node, "denied", isolating=isolating, packets=packets)
        number, peer, port = (None if text is None else int(text) for text in place.groups()[1:])
        return TraceStep(
            direction,
            node,
            "allowed" if rule.verdict == "accept" else "denied",
            by=place[1],
            rule=number,
            peer=peer,
            port=port,
            isolating=isolating,
            packets=packets,
        )

    def _jumps(self, node: str, chain: str) -> list[str]:
        """The chains of policies that a chain jumps to, in order."""
        rules = self._chains.get((node, ruleset.POLICIES.name, chain), ())
        return [rule.verdict.removeprefix("jump ") for rule, _ in rules if rule.verdict.startswith("jump ")]

    def _reachable(self, node: str, chains: Iterable[str]) -> Iterable[str]:
        """Chains, and all that they jump to."""
        found = dict.fromkeys(chains)
        waiting = list(found)
        while waiting:
            new = [name for name in self._jumps(node, waiting.pop()) if name not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return found

    def _all(self, node: str, table: str) -> Iterable[tuple[CountedRule, int]]:
        for key, entries in self._chains.items():
            if key[:2] == (node, table):
                yield from entries


def parse_target(text: str) -> PodRef | ServiceRef | Address:
    """NAMESPACE/POD, svc:NAMESPACE/NAME or an address; ValueError."""
    if text.startswith("svc:"):
        try:
            return ServiceRef.parse(text)
        except ValueError:
            raise ValueError(f"{text!r} is not of the form svc:NAMESPACE/SERVICE") from None
    if "/" in text:
        return PodRef.parse(text)
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither NAMESPACE/POD, svc:NAMESPACE/NAME nor an address") from None


def _uncounted(rule: CountedRule) -> CountedRule:
    return replace(rule, packets=None)
