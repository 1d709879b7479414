"""What would deny a flow on a side that allows it: fewer peers or ports, a rule less, a rule that denies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TypeAlias

from netprobe.explain.explanation import Asked, Item, PolicyView, Role, RuleView, SideView
from netprobe.explain.opening import new_policy_edit
from netprobe.explain.option import (
    ISOLATING,
    MERGED,
    MOST,
    NARROWED,
    POLICY,
    REMOVED,
    RULE,
    Option,
    Writer,
    exact_peer,
    exact_rules,
    own_labels,
)
from netprobe.explain.phrases import describe_peer, describe_port
from netprobe.explain.view import Views
from netprobe.explain.world import World
from netprobe.manifests.change import Operation, pointer
from netprobe.manifests.suggestion import SuggestedEdit
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


class Closer:
    """Makes the options for one side of one flow. `needed` is None without a declaration."""

    def __init__(
        self, world: World, views: Views, asked: Asked, side: SideView, needed: Needed | None
    ) -> None:
        self._world, self._views, self._writer = world, views, Writer(world)
        self._asked, self._side, self._needed = asked, side, needed
        self._section = asked.direction.value
        flow = asked.flow
        ingress = asked.direction is Direction.INGRESS
        self._subject = views.simulator.endpoint(flow.destination if ingress else flow.source)
        self._peer = views.simulator.endpoint(flow.source if ingress else flow.destination)

    def parts(self) -> list[list[Option]]:
        """The options for each reason; the side closes with one of each. [] if nothing closes it."""
        tier = self._side.deciding
        if tier is None:
            isolating = list(self._isolate())
            return [isolating] if isolating else []
        allowing = [
            (view, rule) for view in tier.policies for rule in view.rules if rule.role is Role.DECIDES
        ]
        if not allowing:
            return []
        view, rule = allowing[0]
        if view.policy.kind != NETWORK_POLICY:
            policy = self._world.policies[view.policy.kind, str(view.policy)]
            return [[self._remove_rule(policy, rule), *self._deny_before(policy, rule)]]
        return [self._stopping(*each) for each in allowing]

    def _stopping(self, view: PolicyView, rule: RuleView) -> list[Option]:
        """The options that stop one rule of a NetworkPolicy, the likeliest first."""
        policy = self._world.policies[view.policy.kind, str(view.policy)]
        model = (policy.rules(self._asked.direction) or ())[rule.index]
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
            written = self._writer.peer(policy, self._asked.direction, both)
            if written is None:
                continue
            name, entry = written
            at = ("spec", self._section, rule.index, name)
            text = f"make {one.path.removeprefix('spec.')} and [{two.index}] one peer in {policy.ref}"
            missing = "podSelector" if own is second else "namespaceSelector"
            change: tuple[Operation, ...] = (
                {"op": "add", "path": pointer(*at, one.index or 0, missing), "value": entry[missing]},
                {"op": "remove", "path": pointer(*at, two.index or 0)},
            )
            yield Option(MERGED, (self._edit(policy, one.path, text, *change),))

    def _remove_items(self, policy: Policy, rule: RuleView) -> Iterator[Option]:
        """The entries of a list that match, if others stay: an empty list means everything."""
        for items in (rule.peers, rule.ports):
            hit = [item for item in items if item.obstacle is None]
            if len(hit) < len(items):
                edits = tuple(self._removal(policy, item, f" ({item.says})") for item in hit)
                yield Option(REMOVED + len(hit) - 1, edits)

    def _remove_rule(self, policy: Policy, rule: RuleView) -> Option:
        return Option(REMOVED + 2, (self._removal(policy, rule, ""),))

    def _removal(self, policy: Policy, part: Item | RuleView, says: str) -> SuggestedEdit:
        path = part.path.removeprefix("spec.")
        keys = [
            int(key) if key.isdecimal() else key for key in path.replace("[", ".").replace("]", "").split(".")
        ]
        operation = {"op": "remove", "path": pointer("spec", *keys)}
        return self._edit(policy, part.path, f"remove {path}{says} from {policy.ref}", operation)

    def _narrow(self, policy: Policy, rule: RuleView, model: Rule) -> Iterator[Option]:
        """The rule allows only what is declared: first fewer ports, then fewer peers too."""
        flows = self._flows(policy, rule, model)
        if not flows:
            return
        at = ("spec", self._section, rule.index)
        path = rule.path.removeprefix("spec.")
        ports = tuple(dict.fromkeys(PortRange(flow.protocol, flow.port, flow.port) for flow in flows))
        entries = [self._writer.port(policy, self._asked.direction, port) for port in ports]
        asked = PortRange(self._asked.flow.protocol, self._asked.flow.port, self._asked.flow.port)
        if asked not in ports and None not in entries:
            found = [entry for entry in entries if entry is not None]
            name, values = found[0][0], [entry for _, entry in found]
            op = "add" if model.ports == ANY_PORT else "replace"
            text = f"restrict {path} of {policy.ref} to {listed(map(describe_port, ports))}"
            change: Operation = {"op": op, "path": pointer(*at, name), "value": values}
            yield Option(NARROWED - 2, (self._edit(policy, rule.path, text, change),))
        rules = self._exact(flows, policy.ref.namespace)
        written = [self._writer.rule(policy, self._asked.direction, each) for each in rules]
        if rules and len(rules) <= MOST_RULES and None not in written:
            first, *rest = written
            operations: list[Operation] = [{"op": "replace", "path": pointer(*at), "value": first}]
            operations += [
                {"op": "add", "path": pointer("spec", self._section, rule.index + 1), "value": each}
                for each in reversed(rest)
            ]
            text = f"restrict {path} of {policy.ref} to {self._what(rules, policy.ref.namespace)}"
            yield Option(NARROWED, (self._edit(policy, rule.path, text, *operations),))

    def _flows(self, policy: Policy, rule: RuleView, model: Rule) -> list[Flow]:
        """What is declared as allowed and matched by the rule."""
        if self._needed is None:
            return []
        pods = self._world.pods_by_namespace.get(policy.ref.namespace, ())
        flows = (
            flow
            for pod in pods
            if policy.subject.pods.matches(pod.labels)
            for flow in self._needed(self._asked.direction, pod.ref)
        )
        direction = self._asked.direction
        return [
            flow
            for flow in flows
            if self._views.rule(policy, rule.index, model, Asked(direction, flow, self._family(flow))).matches
        ]

    def _family(self, flow: Flow) -> Family | None:
        return flow.family or self._views.simulator.families(flow.source, flow.destination)[0]

    def _exact(self, flows: Iterable[Flow], namespace: str) -> tuple[Rule, ...]:
        """Rules for these flows; () if one of them has no end that a rule can name."""
        pairs: list[tuple[Peer, PortRange]] = []
        for flow in flows:
            ingress = self._asked.direction is Direction.INGRESS
            end = self._views.simulator.endpoint(flow.source if ingress else flow.destination)
            peer = exact_peer(end, self._family(flow), namespace)
            if peer is None:
                return ()
            pairs.append((peer, PortRange(flow.protocol, flow.port, flow.port)))
        return exact_rules(iter(pairs))

    def _what(self, rules: Iterable[Rule], namespace: str) -> str:
        toward = "from" if self._asked.direction is Direction.INGRESS else "to"
        return " and ".join(
            f"{listed(map(describe_port, rule.ports))} {toward} "
            f"{listed(describe_peer(peer, namespace) for peer in rule.peers)}"
            for rule in rules
        )

    def _deny_before(self, policy: Policy, rule: RuleView) -> Iterator[Option]:
        """A rule that denies this flow, before the first one that allows it; or a policy with that rule."""
        peer = exact_peer(self._peer, self._asked.family, policy.ref.namespace, policy.kind)
        flow = self._asked.flow
        if peer is None:
            return
        deny = Rule((peer,), (PortRange(flow.protocol, flow.port, flow.port),), Action.DENY)
        what = f"denies {self._what([deny], policy.ref.namespace)}"
        written = self._writer.rule(policy, self._asked.direction, deny)
        if written is not None:
            text = f"add a rule to {policy.ref} before {rule.path.removeprefix('spec.')} that {what}"
            change: Operation = {
                "op": "add",
                "path": pointer("spec", self._section, rule.index),
                "value": written,
            }
            yield Option(RULE, (self._edit(policy, rule.path, text, change),))
        pod = self._subject.pod
        made = self._writer.before(policy, pod, self._asked.direction, deny) if pod is not None else None
        if pod is not None and made is not None:
            yield Option(POLICY, (new_policy_edit(self._world, pod, made, f"and {what}", policy),))

    def _isolate(self) -> Iterator[Option]:
        """A policy for an end that none applies to; with a declaration it allows what that needs."""
        pod = self._subject.pod
        if pod is None:
            return
        cost = (ISOLATING if self._needed is None else POLICY) + (
            self._asked.direction is Direction.EGRESS
        )  # access is usually granted at the destination
        namespace, rules = pod.ref.namespace, tuple[Rule, ...]()
        does = f"for {self._section}, and allows nothing"
        if self._needed is not None:
            selected = own_labels(pod.labels)
            flows = [
                flow
                for each in self._world.pods_by_namespace[namespace]
                if selected.matches(each.labels)
                for flow in self._needed(self._asked.direction, each.ref)
            ]
            rules = self._exact(flows, namespace)
            if rules:
                does = f"and allows only {self._what(rules, namespace)}"
        else:
            does = f"for {self._section} and allows what they need"
        made = self._writer.new_policy(pod, self._asked.direction, rules)
        yield Option(cost, (new_policy_edit(self._world, pod, made, does),))

    def _edit(self, policy: Policy, path: str, text: str, *operations: Operation) -> SuggestedEdit:
        place = policy.origin.place(path) if policy.origin is not None else None
        return SuggestedEdit(str(policy.ref), path, text, self._world.patch(policy, *operations), place)


def _is_lone(peer: Peer) -> bool:
    """A namespaceSelector without a podSelector."""
    return isinstance(peer, PodPeer) and peer.pods == EVERYTHING and peer.namespaces is not None
