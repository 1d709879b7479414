"""What would allow a flow on a side that denies it: a type, a label, a port, a peer, a rule, or a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from netprobe.explain.explanation import (
    Asked,
    Item,
    NearMissKind,
    Obstacle,
    ObstacleKind,
    PolicyView,
    Role,
    RuleView,
    SideView,
    TierView,
    as_text,
)
from netprobe.explain.near import NearMisses
from netprobe.explain.option import (
    LABEL,
    MISSING_TYPE,
    MOST,
    NAME,
    ORDER,
    PEER,
    POLICY,
    PORT,
    RULE,
    Option,
    Writer,
    exact_peer,
    order_before,
    own_labels,
)
from netprobe.explain.phrases import describe_peer, describe_pods, describe_port
from netprobe.explain.world import World, workload_of
from netprobe.manifests.change import Apply, Operation, pointer, setting
from netprobe.manifests.suggestion import SuggestedEdit
from netprobe.model.flow import Pod
from netprobe.model.labels import NAME_LABEL
from netprobe.model.policy import (
    BASELINE_TIER,
    CALICO_KINDS,
    NETWORK_POLICY,
    PRIORITY_KINDS,
    Action,
    Direction,
    Policy,
    PortRange,
    Rule,
)
from netprobe.simulate import Simulator

_VERBS = {Action.ALLOW: "allows", Action.PASS: "passes on to later tiers"}
_ORDER_FIELDS = {
    **dict.fromkeys(CALICO_KINDS, "order"),
    **dict.fromkeys(PRIORITY_KINDS, "priority"),
}
"""Kinds whose policies have an order within their tier, with its field."""


class Opener:
    """Makes the options for one side of one flow."""

    def __init__(self, world: World, simulator: Simulator, asked: Asked, side: SideView) -> None:
        self._world, self._writer, self._side, self._asked = world, Writer(world), side, asked
        self._direction, self._section = asked.direction, asked.direction.value
        flow = asked.flow
        ends = simulator.endpoint(flow.source), simulator.endpoint(flow.destination)
        ingress = asked.direction is Direction.INGRESS
        self._toward = "from" if ingress else "to"
        self._peer, self._subject = ends if ingress else ends[::-1]
        self._port = PortRange(flow.protocol, flow.port, flow.port)

    def options(self, near: NearMisses) -> list[Option]:
        """At most MOST, the likeliest first; the one that adds a rule for this very flow is among them."""
        tier = self._side.deciding
        if tier is None or tier.outcome is not Action.DENY:
            return []
        found = [
            *self._of_near(near),
            *(self._in_order(tier) if not tier.by_default else self._by_default(tier)),
        ]
        found.sort(key=lambda option: option.cost)
        return [*found[: MOST - 1], *found[-1:]] if len(found) > MOST else found

    def _in_order(self, tier: TierView) -> Iterator[Option]:
        """A rule denies: another one has to come before it."""
        view, rule = next(
            (view, rule) for view in tier.policies for rule in view.rules if rule.role is Role.DECIDES
        )
        yield from self._reorder(tier, view, rule)
        yield from self._insert(view, rule)
        yield from self._policy_before(view)
        if tier.name == BASELINE_TIER.name:  # a NetworkPolicy comes before it
            yield from self._add_policy()

    def _by_default(self, tier: TierView) -> Iterator[Option]:
        """No rule of the tier matches."""
        for view in tier.policies:
            for rule in view.rules:
                if rule.action is not Action.ALLOW or any(each.obstacle for each in rule.conditions):
                    continue
                if rule.peer_matches and not rule.port_matches:
                    yield from self._add_port(view, rule)
                if rule.port_matches and not rule.peer_matches:
                    yield from self._match_peer(view, rule)
                    yield from self._add_peer(view, rule)
        yield from self._add_rule(tier)
        if any(view.policy.kind == NETWORK_POLICY for view in tier.policies):
            yield from self._add_policy()
        else:
            yield from self._policy_before(tier.policies[0])

    @cached_property
    def _action(self) -> Action:
        """What a new rule of the deciding tier does: PASS, if policies of later tiers allow the flow."""
        deciding = self._side.deciding
        later = [tier for tier in self._side.tiers if not tier.reached]
        outcome = next((tier.outcome for tier in later if tier.outcome is not Action.PASS), Action.ALLOW)
        is_plain = deciding is None or any(v.policy.kind == NETWORK_POLICY for v in deciding.policies)
        return Action.PASS if later and outcome is Action.ALLOW and not is_plain else Action.ALLOW

    # One edit each.

    def _of_near(self, near: NearMisses) -> Iterator[Option]:
        """A policy that would allow the flow is made to apply."""
        for miss in self._side.near:
            if not miss.decides:
                continue
            policy = self._policy(miss.policy.kind, str(miss.policy))
            if miss.kind is NearMissKind.DIRECTION:
                field, _ = near.types(policy) or ("policyTypes", [])
                word = self._section.capitalize()
                change = self._writer.append(policy, ("spec", field), word)
                text = f"add {word} to spec.{field} of {policy.ref}"
                yield Option(MISSING_TYPE, (self._edit(policy, f"spec.{field}", text, change),))
            elif miss.kind is NearMissKind.LABELS and miss.labels and self._subject.pod is not None:
                yield from self._label_pod(self._subject.pod, miss.labels)

    def _add_port(self, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        policy = self._of(view)
        written = self._writer.port(policy, self._direction, self._port)
        if written is not None:
            name, entry = written
            change = self._writer.append(policy, ("spec", self._section, rule.index, name), entry)
            where = f"{rule.path.removeprefix('spec.')}.{name} of {view.policy}"
            text = f"add {describe_port(self._port)} to {where}"
            yield Option(PORT, (self._edit(policy, f"{rule.path}.{name}", text, change),))

    def _add_peer(self, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        policy = self._of(view)
        peer = exact_peer(self._peer, self._asked.family, policy.ref.namespace, policy.kind)
        written = self._writer.peer(policy, self._direction, peer) if peer is not None else None
        if written is not None and peer is not None:
            name, entry = written
            change = self._writer.append(policy, ("spec", self._section, rule.index, name), entry)
            where = f"{rule.path.removeprefix('spec.')}.{name} of {view.policy}"
            text = f"add {describe_peer(peer, policy.ref.namespace)} to {where}"
            yield Option(PEER, (self._edit(policy, f"{rule.path}.{name}", text, change),))

    def _match_peer(self, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        """The other end gets the labels that a peer requires; or the peer names the namespace correctly."""
        for item in rule.peers:
            obstacle = item.obstacle
            if obstacle is None or self._peer.pod is None:
                continue
            yield from self._name_namespace(view, item, obstacle)
            if not obstacle.labels:
                continue
            if obstacle.kind is ObstacleKind.NAMESPACE_LABEL_MISSING:
                namespace = self._peer.pod.ref.namespace
                change = self._world.label_namespace(namespace, dict(obstacle.labels))
                text = f"label namespace {namespace} {as_text(obstacle.labels)}"
                edit = SuggestedEdit(f"namespace {namespace}", "metadata.labels", text, change)
                yield Option(LABEL, (edit,))
            else:
                yield from self._label_pod(self._peer.pod, obstacle.labels)

    def _label_pod(self, pod: Pod, labels: tuple[tuple[str, str], ...]) -> Iterator[Option]:
        """Not if a Service of the namespace would take the pod for one of its own."""
        after = {**pod.labels, **dict(labels)}.items()
        for service in self._world.cluster.services.values():
            wanted = (service.selector or {}).items()
            joins = wanted and wanted <= after and not wanted <= pod.labels.items()
            if joins and service.ref.namespace == pod.ref.namespace:
                return
        change = self._world.label_pods(pod, dict(labels))
        kind, name = workload_of(pod)
        target = f"pod {pod.ref}" if kind == "Pod" else f"the pod template of {kind} {name}"
        text = f"label {target} {as_text(labels)}"
        yield Option(LABEL, (SuggestedEdit(target, "metadata.labels", text, change),))

    def _name_namespace(self, view: PolicyView, item: Item, obstacle: Obstacle) -> Iterator[Option]:
        """The label that always holds the name of a namespace, for one that no namespace has."""
        missing = {ObstacleKind.NAMESPACE_LABEL_MISSING, ObstacleKind.NAMESPACE_LABEL_DIFFERENT}
        if obstacle.kind not in missing or self._peer.pod is None or item.index is None:
            return
        policy, namespace = self._of(view), self._peer.pod.ref.namespace
        keys = _keys(item.path)
        for path, labels in _match_labels(_value(self._world.object(policy), keys), keys):
            if not any("amespace" in str(key) for key in path[len(keys) :]):
                continue
            bad = [
                (key, value)
                for key, value in labels.items()
                if (self._peer.namespace_labels or {}).get(key) != value
            ]
            if not bad or any(self._is_used(key) for key, _ in bad):
                continue
            operations: tuple[Operation, ...]
            (key, value), *others = bad
            if value == namespace and not others:
                operations = (
                    {"op": "move", "from": pointer(*path, key), "path": pointer(*path, NAME_LABEL)},
                )
            else:
                kept = {one: text for one, text in labels.items() if (one, text) not in bad}
                new = {NAME_LABEL: namespace, **kept}
                operations = ({"op": "replace", "path": pointer(*path), "value": new},)
            where = item.path.removeprefix("spec.")
            text = f"select namespace {namespace} by {NAME_LABEL} in {where} of {policy.ref}"
            yield Option(NAME, (self._edit(policy, item.path, text, *operations),))

    def _is_used(self, key: str) -> bool:
        """Whether some namespace has a label of that key, so that it is not made up."""
        return any(key in space.labels for space in self._world.cluster.namespaces.values())

    def _add_rule(self, tier: TierView) -> Iterator[Option]:
        """A rule in the policy of the tier that is most about the subject."""
        views = [view for view in tier.policies if view.rules] or [
            view for view in tier.policies if view.policy.kind != NETWORK_POLICY
        ]
        if views:
            view = min(views, key=self._breadth)
            yield from self._insert(view, None)

    def _insert(self, view: PolicyView, before: RuleView | None) -> Iterator[Option]:
        policy = self._of(view)
        action = self._action if policy.kind != NETWORK_POLICY else Action.ALLOW
        rule = self._exact_rule(policy.ref.namespace, policy.kind, action)
        written = self._writer.rule(policy, self._direction, rule) if rule is not None else None
        if rule is None or written is None:
            return
        what = f"{_VERBS[action]} {self._what(rule, policy.ref.namespace)}"
        path = f"spec.{self._section}"
        text = f"add a rule to {view.policy} that {what}"
        change: Operation
        if before is None:
            change = self._writer.append(policy, ("spec", self._section), written)
        else:
            change = {"op": "add", "path": pointer("spec", self._section, before.index), "value": written}
            text = f"add a rule to {view.policy} before {before.path.removeprefix('spec.')} that {what}"
        yield Option(RULE, (self._edit(policy, path, text, change),))

    def _policy_before(self, view: PolicyView) -> Iterator[Option]:
        """A policy for this subject alone, of the same tier, with a rule for this very flow."""
        policy, pod = self._of(view), self._subject.pod
        rule = self._exact_rule(policy.ref.namespace, policy.kind, self._action)
        made = self._writer.before(policy, pod, self._direction, rule) if pod is not None and rule else None
        if pod is not None and rule is not None and made is not None:
            does = f"and {_VERBS[self._action]} {self._what(rule, policy.ref.namespace)}"
            yield Option(POLICY, (new_policy_edit(self._world, pod, made, does, policy),))

    def _reorder(self, tier: TierView, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        """A later rule of the tier allows the flow: it, or its policy, comes before the one that denies."""
        later = [
            (other, each)
            for other in tier.policies
            for each in other.rules
            if each.matches and each.action in {Action.ALLOW, self._action}
        ]
        if not later:
            return
        other, allowing = later[0]
        policy, denying = self._of(other), self._of(view)
        if other.policy == view.policy:
            keys = ("spec", self._section, allowing.index)
            text = f"move {_short(allowing)} of {policy.ref} before {_short(rule)}"
            moved: tuple[Operation, ...] = (
                {"op": "remove", "path": pointer(*keys)},
                {
                    "op": "add",
                    "path": pointer(*keys[:2], rule.index),
                    "value": _value(self._world.object(policy), keys),
                },
            )
            yield Option(ORDER, (self._edit(policy, allowing.path, text, *moved),))
            return
        for own, number, where in (
            (policy, order_before(denying.order), f"before that of {denying.ref}"),
            (denying, policy.order + 1, f"after that of {policy.ref}"),
        ):
            field = _ORDER_FIELDS.get(own.kind)
            if field is not None and (number >= 0 or field == "order"):
                text = f"set spec.{field} of {own.ref} to {int(number)}, {where}"
                change = setting(self._world.object(own), ("spec", field), int(number))
                yield Option(ORDER, (self._edit(own, f"spec.{field}", text, change),))
                return

    def _breadth(self, view: PolicyView) -> int:
        policy = self._of(view)
        if policy.subject.namespaces is not None:
            return len(self._world.cluster.pods)
        pods = self._world.pods_by_namespace.get(policy.ref.namespace, ())
        return sum(policy.subject.pods.matches(pod.labels) for pod in pods)

    def _add_policy(self) -> Iterator[Option]:
        pod = self._subject.pod
        rule = self._exact_rule(pod.ref.namespace, NETWORK_POLICY, Action.ALLOW) if pod is not None else None
        if pod is not None and rule is not None:
            made = self._writer.new_policy(pod, self._direction, (rule,))
            does = f"and allows {self._what(rule, pod.ref.namespace)}"
            yield Option(POLICY, (new_policy_edit(self._world, pod, made, does),))

    def _exact_rule(self, namespace: str, kind: str, action: Action) -> Rule | None:
        """A rule for this very flow in a policy of a namespace; None if no rule can name the other end."""
        peer = exact_peer(self._peer, self._asked.family, namespace, kind)
        return Rule((peer,), (self._port,), action) if peer is not None else None

    def _what(self, rule: Rule, namespace: str) -> str:
        return f"{describe_port(self._port)} {self._toward} {describe_peer(rule.peers[0], namespace)}"

    def _of(self, view: PolicyView) -> Policy:
        return self._policy(view.policy.kind, str(view.policy))

    def _policy(self, kind: str, name: str) -> Policy:
        return self._world.policies[kind, name]

    def _edit(self, policy: Policy, path: str, text: str, *operations: Operation) -> SuggestedEdit:
        place = policy.origin.place(path) if policy.origin is not None else None
        return SuggestedEdit(str(policy.ref), path, text, self._world.patch(policy, *operations), place)


def new_policy_edit(
    world: World, pod: Pod, made: Mapping[str, Any], does: str, beside: Policy | None = None
) -> SuggestedEdit:
    """A new policy for pods with the labels of this one, in a file with other policies.

    `beside`: a policy of the same kind; without one, it is a NetworkPolicy in the namespace of the pod.
    """
    namespace, section = pod.ref.namespace, next(key for key in ("ingress", "egress") if key in made["spec"])
    neighbours = (*world.by_namespace.get(namespace, ()), *world.cluster.policies)
    neighbours = neighbours if beside is None else (beside, *neighbours)
    place = next((each.origin for each in neighbours if each.origin is not None and each.origin.line), None)
    pods = describe_pods(own_labels(pod.labels))
    if beside is None:
        text = f"add a policy to {namespace} that selects {pods} {does}"
    else:
        text = f"add a {made['kind']} before {beside.ref} that selects {pods} of {namespace} {does}"
    return SuggestedEdit(f"namespace {namespace}", f"spec.{section}", text, Apply(made, place))


def _short(rule: RuleView) -> str:
    return rule.path.removeprefix("spec.")


def _keys(path: str) -> tuple[str | int, ...]:
    """("spec", "ingress", 0) of "spec.ingress[0]"."""
    parts = path.replace("[", ".").replace("]", "").split(".")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _value(obj: Any, keys: tuple[str | int, ...]) -> Any:
    for key in keys:
        try:
            obj = obj[key]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


def _match_labels(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, str]]]:
    """Every `matchLabels` inside a peer, with its path."""
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if key == "matchLabels" and isinstance(inner, Mapping):
            yield (*path, key), inner
        else:
            yield from _match_labels(inner, (*path, key))
