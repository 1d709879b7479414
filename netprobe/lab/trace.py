"""The way of one connection through the rules of a lab, read from what the rules have counted. Pure.

A rule counts the first packets of new connections alone, and the rule that accepts or denies a packet ends
its way through that side. So of all rules that a side of a flow can meet, exactly one counts; where several
have, somebody else talked at the same moment, and the trace cannot tell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from netprobe.errors import LabError
from netprobe.lab.fabric import ruleset, services
from netprobe.lab.fabric.state import CountedRule
from netprobe.model.flow import PodRef

RULES = "/netprobe/rules"
"""Where a lab's API shows the rules of every node with their counters, beside the API of Kubernetes."""

Stage = Literal["service", "egress", "ingress"]
_PLACE = re.compile(r"(?:egress|ingress) (\S+) rule (\d+)(?: peer (\d+))?(?: port (\d+))?")
_Key = tuple[str, str, str, int]


class UnclearError(LabError):
    """Others talked at the same moment, or the rules changed: another try may tell."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the way.

    `effect`: "translated", "refused" or "dropped" by a Service; "allowed", "denied", "not isolated" or
    "not enforced" by policies; "not seen" where no rule counted the packet. `by` is what counted it: the
    Service's port, or the policy ("NAMESPACE/NAME"). `to`: the endpoint that was chosen.
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


class Counts:
    """What each rule counted between two readings. UnclearError where the rules themselves changed."""

    def __init__(self, before: Iterable[CountedRule], after: Iterable[CountedRule]) -> None:
        old, new = _keyed(before), _keyed(after)
        if {key: _same(rule) for key, rule in old.items()} != {key: _same(rule) for key, rule in new.items()}:
            raise UnclearError("the rules changed while the packet was under way")
        self._chains: dict[tuple[str, str, str], list[tuple[CountedRule, int]]] = {}
        for key, rule in new.items():
            more = (rule.packets or 0) - (old[key].packets or 0)
            self._chains.setdefault(key[:3], []).append((rule, more))

    def service(self, node: str, port: str) -> Step | None:
        """What became of a connection to "NAMESPACE/NAME port NUMBER/PROTOCOL" on a node; None: not there."""
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
                raise UnclearError("other connections to the same endpoints came at the same moment")
            return Step("service", node, "translated", port, ends[0], packets=packets)
        for chain, effect in (("refuse", "refused"), ("unserved", "dropped")):
            hits = sum(more for _, more in self._chains.get((node, table, chain), ()))
            if hits:
                return Step("service", node, effect, port, packets=hits)
        return None

    def policies(self, direction: Literal["egress", "ingress"], node: str, ref: PodRef) -> Step:
        """What the policies of a pod did with the packet."""
        table = ruleset.POLICIES.name
        if not any(True for _ in self._all(node, table)):
            return Step(direction, node, "not enforced")
        denial = ruleset.denial(direction, ref)
        chain = next((rule.chain for rule, _ in self._all(node, table) if rule.comment == denial), None)
        if chain is None:
            return Step(direction, node, "not isolated")
        own = self._chains[node, table, chain]
        jumps = [rule.verdict.removeprefix("jump ") for rule, _ in own if rule.verdict.startswith("jump ")]
        met = [*(entry for name in jumps for entry in self._chains.get((node, table, name), ())), *own]
        hit = [(rule, more) for rule, more in met if more]
        isolating = tuple(name.removeprefix(f"{direction}/") for name in jumps)
        if not hit:
            return Step(direction, node, "not seen", isolating=isolating)
        if len({rule.comment for rule, _ in hit}) > 1:
            raise UnclearError(f"others were judged by the {direction} rules of {ref} at the same moment")
        rule, packets = hit[0][0], sum(more for _, more in hit)
        place = _PLACE.fullmatch(rule.comment)
        if place is None:
            return Step(direction, node, "denied", isolating=isolating, packets=packets)
        number, peer, port = (None if text is None else int(text) for text in place.groups()[1:])
        return Step(
            direction,
            node,
            "allowed",
            by=place[1],
            rule=number,
            peer=peer,
            port=port,
            isolating=isolating,
            packets=packets,
        )

    def _all(self, node: str, table: str) -> Iterable[tuple[CountedRule, int]]:
        for key, entries in self._chains.items():
            if key[:2] == (node, table):
                yield from entries


def parse(items: Iterable[Mapping[str, object]]) -> list[CountedRule]:
    """The rules as the lab's API gives them."""
    return [CountedRule(**item) for item in items]  # type: ignore[arg-type]


def way(
    counts: Counts,
    nodes: Sequence[str],
    *,
    source: PodRef | None,
    source_node: str,
    service: str | None,
    destination: PodRef | None,
    pods: Mapping[str, PodRef],
    nodes_of: Mapping[PodRef, str],
) -> list[Step]:
    """The steps of a connection, in order, as far as it came.

    `source` None: from outside. `service`: its port as in `Counts.service`, where one was asked for, else
    `destination` is the pod, None for an address outside. `pods` by address; `nodes_of` where they run.
    """
    steps: list[Step] = []
    if service is not None:
        candidates = dict.fromkeys((source_node, *nodes))
        found = next((step for node in candidates if (step := counts.service(node, service))), None)
        step = found or Step("service", source_node, "not seen", service)
        steps.append(step)
        if step.effect != "translated":
            return steps
        destination = pods.get((step.to or "").rpartition(":")[0].strip("[]"))
    if source is not None and source == destination and service is None:
        return steps  # never leaves the pod
    if source is not None:
        steps.append(counts.policies("egress", source_node, source))
    if destination is not None and not any(step.effect == "denied" for step in steps):
        steps.append(counts.policies("ingress", nodes_of[destination], destination))
    return steps


def _keyed(rules: Iterable[CountedRule]) -> dict[_Key, CountedRule]:
    place: Counter[tuple[str, str, str]] = Counter()
    keyed = {}
    for rule in rules:
        chain = (rule.node, rule.table, rule.chain)
        keyed[*chain, place[chain]] = rule
        place[chain] += 1
    return keyed


def _same(rule: CountedRule) -> tuple[str, str]:
    return rule.verdict, rule.comment
