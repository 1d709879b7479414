"""What would deny a flow on a side that allows it: fewer peers or ports, a rule less, a rule that denies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TypeAlias

from netprobe.explain.explanation import FlowSide, Item, PolicyView, Role, RuleView, SideView, TierView
from netprobe.explain.option import (
    ISOLATING,
    MOST,
    MOST_NAMED,
    Cost,
    Option,
    OptionMaker,
    exact_peer,
    exact_rules,
    own_labels,
    path_keys,
)
from netprobe.explain.phrases import describe_port
from netprobe.explain.view import Views
from netprobe.explain.world import World
from netprobe.manifests.change import Operation, SuggestedEdit, pointer
from netprobe.model.flow import Family, Flow, PodRef
from netprobe.model.labels import EVERYTHING
from netprobe.model.policy import (
    ANY_PORT,
    NETWORK_POLICY,
    Action,
    Direction,
    Peer,
    PodPeer,
    Policy,
    PortRange,
    Rule,
)
from netprobe.model.text import listed

Needed: TypeAlias = Callable[[Direction, PodRef], Iterable[Flow]]
"""The flows of a pod in a direction that are declared as allowed."""

MOST_RULES = 4
"""A rule is replaced by no more than this number of rules."""


class Closer(OptionMaker):
    """Makes the options for one side of one flow. `needed` is None without a declaration."""

    def __init__(
        self, world: World, views: Views, flow_side: FlowSide, side: SideView, needed: Needed | None
    ) -> None:
        super().__init__(world, views.simulator, flow_side, side)
        self._views, self._needed = views, needed

    def parts(self) -> list[list[Option]]:
        """The options for each reason; the side closes with one of each. [] if nothing closes it."""
        tier = self.side.deciding
        if tier is None:
            options = [
                *self._isolate(),
                *(option for each in self.side.tiers for option in self._passing(each)),
            ]
            return [options] if options else []
        allowing = [
            (view, rule) for view in tier.policies for rule in view.rules if rule.role is Role.DECIDES
        ]
        if not allowing:
            return []
        view, rule = allowing[0]
        if view.policy.kind != NETWORK_POLICY:
            policy = self.policy_of(view)
            return [
                [
                    self._remove_rule(policy, rule),
                    *self.insert(policy, rule, Action.DENY),
                    *self.policy_before(policy, Action.DENY),
                ]
            ]
        return [self._stopping(*each) for each in allowing]

    def _passing(self, tier: TierView) -> Iterator[Option]:
        """A rule or a policy that denies, in a tier that passes the flow on."""
        rules = ((view, rule) for view in tier.policies for rule in view.rules if rule.role is Role.PASSES)
        view, rule = next(rules, (tier.policies[-1], None))
        if view.policy.kind != NETWORK_POLICY:
            yield from self.insert(self.policy_of(view), rule, Action.DENY)
            yield from self.policy_before(self.policy_of(view), Action.DENY)

    def _stopping(self, view: PolicyView, rule: RuleView) -> list[Option]:
        """The options that stop one rule of a NetworkPolicy, the likeliest first."""
        policy = self.policy_of(view)
        model = (policy.rules(self.direction) or ())[rule.index]
        found = [
            *self._merge(policy, rule, model),
            *self._remove_items(policy, rule),
            *self._narrow(policy, rule, model),
            self._remove_rule(policy, rule),
        ]
        return found[:MOST]

    def _merge(self, policy: Policy, rule: RuleView, model: Rule) -> Iterator[Option]:
        """Two peers that were meant as one: every pod of some namespaces, OR some pods of this one."""
        for (one, first), (two, second) in pairwise(zip(rule.peers, model.peers, strict=True)):
            whole, own = (first, second) if _is_lone(first) else (second, first)
            if not _is_lone(whole) or not isinstance(own, PodPeer) or own.namespaces is not None:
                continue
            if own.pods == EVERYTHING or (one.obstacle and two.obstacle) or not isinstance(whole, PodPeer):
                continue
            both = PodPeer(own.pods, whole.namespaces)
            written = self.written_peer(policy, both)
            if written is None:
                continue
            name, entry = written
            at = ("spec", self.section, rule.index, name)
            text = f"make {one.path.removeprefix('spec.')} and [{two.index}] one peer in {policy.ref}"
            missing = "podSelector" if own is second else "namespaceSelector"
            change: tuple[Operation, ...] = (
                {"op": "add", "path": pointer(*at, one.index or 0, missing), "value": entry[missing]},
                {"op": "remove", "path": pointer(*at, two.index or 0)},
            )
            yield Option(Cost.MERGED, (self.edit(policy, one.path, text, *change),))

    def _remove_items(self, policy: Policy, rule: RuleView) -> Iterator[Option]:
        """The entries of a list that match, if others stay: an empty list means everything."""
        for items in (rule.peers, rule.ports):
            hit = [item for item in items if item.obstacle is None]
            if len(hit) < len(items):
                edits = tuple(self._removal(policy, item, f" ({item.says})") for item in hit)
                yield Option(Cost.REMOVED + len(hit) - 1, edits)

    def _remove_rule(self, policy: Policy, rule: RuleView) -> Option:
        return Option(Cost.REMOVED + 2, (self._removal(policy, rule, ""),))

    def _removal(self, policy: Policy, part: Item | RuleView, says: str) -> SuggestedEdit:
        operation = {"op": "remove", "path": pointer(*path_keys(part.path))}
        text = f"remove {part.path.removeprefix('spec.')}{says} from {policy.ref}"
        return self.edit(policy, part.path, text, operation)

    def _narrow(self, policy: Policy, rule: RuleView, model: Rule) -> Iterator[Option]:
        """The rule allows only what is declared: first fewer ports, then fewer peers too."""
        flows = self._flows(policy, rule, model)
        if not flows:
            return
        at = ("spec", self.section, rule.index)
        path = rule.path.removeprefix("spec.")
        ports = tuple(dict.fromkeys(PortRange(flow.protocol, flow.port, flow.port) for flow in flows))
        entries = [self.written_port(policy, port) for port in ports]
        if self.port not in ports and None not in entries:
            found = [entry for entry in entries if entry is not None]
            name, values = found[0][0], [entry for _, entry in found]
            op = "add" if model.ports == ANY_PORT else "replace"
            text = f"restrict {path} of {policy.ref} to {listed(map(describe_port, ports), MOST_NAMED)}"
            change: Operation = {"op": op, "path": pointer(*at, name), "value": values}
            yield Option(Cost.NARROWED - 2, (self.edit(policy, rule.path, text, change),))
        rules = self._exact(flows, policy.ref.namespace)
        written = [self.written(policy, each) for each in rules]
        if rules and len(rules) <= MOST_RULES and None not in written:
            first, *rest = written
            operations: list[Operation] = [{"op": "replace", "path": pointer(*at), "value": first}]
            operations += [
                {"op": "add", "path": pointer("spec", self.section, rule.index + 1), "value": each}
                for each in reversed(rest)
            ]
            text = f"restrict {path} of {policy.ref} to {self.phrase(rules, policy.ref.namespace)}"
            yield Option(Cost.NARROWED, (self.edit(policy, rule.path, text, *operations),))

    def _flows(self, policy: Policy, rule: RuleView, model: Rule) -> list[Flow]:
        """What is declared as allowed and matched by the rule."""
        if self._needed is None:
            return []
        pods = self.world.pods_by_namespace.get(policy.ref.namespace, ())
        flows = (
            flow
            for pod in pods
            if policy.subject.pods.matches(pod.labels)
            for flow in self._needed(self.direction, pod.ref)
        )
        direction = self.direction
        return [
            flow
            for flow in flows
            if self._views.rule(
                policy, rule.index, model, FlowSide(direction, flow, self._family(flow))
            ).matches
        ]

    def _family(self, flow: Flow) -> Family | None:
        return flow.family or self._views.simulator.families(flow.source, flow.destination)[0]

    def _exact(self, flows: Iterable[Flow], namespace: str) -> tuple[Rule, ...]:
        """Rules for these flows; () if one of them has no end that a rule can name."""
        pairs: list[tuple[Peer, PortRange]] = []
        for flow in flows:
            ingress = self.direction is Direction.INGRESS
            end = self._views.simulator.endpoint(flow.source if ingress else flow.destination)
            peer = exact_peer(end, self._family(flow), namespace)
            if peer is None:
                return ()
            pairs.append((peer, PortRange(flow.protocol, flow.port, flow.port)))
        return exact_rules(iter(pairs))

    def _isolate(self) -> Iterator[Option]:
        """A policy for an end to which no policy applies; it allows what is declared, if anything is."""
        pod = self.subject.pod
        if pod is None:
            return
        cost = (ISOLATING if self._needed is None else Cost.POLICY) + (
            self.direction is Direction.EGRESS
        )  # access is usually granted at the destination
        namespace, rules = pod.ref.namespace, tuple[Rule, ...]()
        does = f"for {self.section}, and allows nothing"
        if self._needed is not None:
            selected = own_labels(pod.labels)
            flows = [
                flow
                for each in self.world.pods_by_namespace[namespace]
                if selected.matches(each.labels)
                for flow in self._needed(self.direction, each.ref)
            ]
            rules = self._exact(flows, namespace)
            if rules:
                does = f"and allows only {self.phrase(rules, namespace)}"
        else:
            does = f"for {self.section} and allows what they need"
        made = self.isolating(pod, *rules)
        yield Option(cost, (self.new_policy(pod, made, does),))


def _is_lone(peer: Peer) -> bool:
    """A namespaceSelector without a podSelector."""
    return isinstance(peer, PodPeer) and peer.pods == EVERYTHING and peer.namespaces is not None
