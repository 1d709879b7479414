"""What would allow a flow on a side that denies it: a type, a label, a port, a peer, a rule, or a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from netprobe.explain.explanation import (
    Item,
    NearMissKind,
    Obstacle,
    ObstacleKind,
    PolicyView,
    Role,
    RuleView,
    TierView,
    as_text,
)
from netprobe.explain.near import NearMisses
from netprobe.explain.option import MOST, Cost, Option, OptionMaker, order_before, path_keys
from netprobe.explain.phrases import describe_peer, describe_port
from netprobe.explain.world import workload_of
from netprobe.manifests.change import Operation, SuggestedEdit, pointer, setting, value_at
from netprobe.model.flow import Pod
from netprobe.model.labels import NAME_LABEL
from netprobe.model.policy import (
    BASELINE_TIER,
    CALICO_KINDS,
    NETWORK_POLICY,
    PRIORITY_KINDS,
    Action,
    Policy,
)

_ORDER_FIELDS = {
    **dict.fromkeys(CALICO_KINDS, "order"),
    **dict.fromkeys(PRIORITY_KINDS, "priority"),
}
"""Kinds whose policies have an order within their tier, with its field."""


class Opener(OptionMaker):
    """Makes the options for a side that denies."""

    def options(self, near: NearMisses) -> list[Option]:
        """At most MOST, the likeliest first, and always the one that adds a rule for exactly this flow."""
        tier = self.side.deciding
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
        yield from self.insert(self.policy_of(view), rule, self._action)
        yield from self.policy_before(self.policy_of(view), self._action)
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
            yield from self.policy_before(self.policy_of(tier.policies[0]), self._action)

    @cached_property
    def _action(self) -> Action:
        """What a new rule of the deciding tier does: PASS, if policies of later tiers allow the flow."""
        deciding = self.side.deciding
        later = [tier for tier in self.side.tiers if not tier.reached]
        outcome = next((tier.outcome for tier in later if tier.outcome is not Action.PASS), Action.ALLOW)
        is_plain = deciding is None or any(v.policy.kind == NETWORK_POLICY for v in deciding.policies)
        return Action.PASS if later and outcome is Action.ALLOW and not is_plain else Action.ALLOW

    # One edit each.

    def _of_near(self, near: NearMisses) -> Iterator[Option]:
        """A policy that would allow the flow is made to apply."""
        for miss in self.side.near:
            if not miss.decides:
                continue
            policy = self.world.policies[miss.policy.kind, str(miss.policy)]
            if miss.kind is NearMissKind.DIRECTION:
                field, _ = near.types(policy) or ("policyTypes", [])
                word = self.section.capitalize()
                change = self.append(policy, ("spec", field), word)
                text = f"add {word} to spec.{field} of {policy.ref}"
                yield Option(Cost.MISSING_TYPE, (self.edit(policy, f"spec.{field}", text, change),))
            elif miss.kind is NearMissKind.LABELS and self.subject.pod is not None:
                yield from self._select_pod(policy, ("spec", "podSelector"), self.subject.pod)
                if miss.labels:
                    yield from self._label_pod(self.subject.pod, miss.labels)

    def _add_port(self, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        written = self.written_port(self.policy_of(view), self.port)
        yield from self._add_item(view, rule, Cost.PORT, written, describe_port(self.port))

    def _add_peer(self, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        policy = self.policy_of(view)
        peer = self.exact_peer(policy.ref.namespace, policy.kind)
        if peer is not None:
            written = self.written_peer(policy, peer)
            # A rule without ports would let the peer in on all of them.
            cost = Cost.PEER if any(item.index is not None for item in rule.ports) else Cost.NARROWED
            yield from self._add_item(view, rule, cost, written, describe_peer(peer, policy.ref.namespace))

    def _add_item(
        self, view: PolicyView, rule: RuleView, cost: int, written: tuple[str, Any] | None, says: str
    ) -> Iterator[Option]:
        """`written`: the name of a list of the rule, and the entry for it."""
        if written is not None:
            policy, (name, entry) = self.policy_of(view), written
            change = self.append(policy, ("spec", self.section, rule.index, name), entry)
            text = f"add {says} to {_short(rule)}.{name} of {view.policy}"
            yield Option(cost, (self.edit(policy, f"{rule.path}.{name}", text, change),))

    def _match_peer(self, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        """The other end gets the labels that a peer requires; or the peer names the namespace correctly."""
        for item in rule.peers:
            obstacle = item.obstacle
            if obstacle is None or self.peer.pod is None:
                continue
            yield from self._name_namespace(view, item, obstacle)
            if obstacle.kind is ObstacleKind.LABEL_DIFFERENT:
                keys = (*path_keys(item.path), "podSelector")
                yield from self._select_pod(self.policy_of(view), keys, self.peer.pod)
            if not obstacle.labels:
                continue
            if obstacle.kind is ObstacleKind.NAMESPACE_LABEL_MISSING:
                namespace = self.peer.pod.ref.namespace
                change = self.world.label_namespace(namespace, dict(obstacle.labels))
                text = f"label namespace {namespace} {as_text(obstacle.labels)}"
                edit = SuggestedEdit(f"namespace {namespace}", "metadata.labels", text, change)
                yield Option(Cost.LABEL, (edit,))
            else:
                yield from self._label_pod(self.peer.pod, obstacle.labels)

    def _select_pod(self, policy: Policy, keys: tuple[str | int, ...], pod: Pod) -> Iterator[Option]:
        """Correct a podSelector that selects nothing because a value is misspelt: write the pod's value."""
        path = (*keys, "matchLabels")
        labels = value_at(self.world.object(policy), path)
        if not isinstance(labels, Mapping) or any(
            labels.items() <= each.labels.items() for each in self.world.cluster.pods.values()
        ):
            return
        wrong = {key: value for key, value in labels.items() if pod.labels.get(key) != value}
        if not all(get_close_matches(pod.labels.get(key, ""), [value]) for key, value in wrong.items()):
            return
        right = {key: pod.labels[key] for key in wrong}
        operations: tuple[Operation, ...] = tuple(
            {"op": "replace", "path": pointer(*path, key), "value": value} for key, value in right.items()
        )
        where = _path(keys)
        text = f"select pods {as_text(right)}, not {as_text(wrong)}, in {where} of {policy.ref}"
        yield Option(Cost.NAME, (self.edit(policy, f"spec.{where}", text, *operations),))

    def _label_pod(self, pod: Pod, labels: tuple[tuple[str, str], ...]) -> Iterator[Option]:
        """Labels for a pod, unless a Service of the namespace would then select it too."""
        after = {**pod.labels, **dict(labels)}.items()
        for service in self.world.cluster.services.values():
            wanted = (service.selector or {}).items()
            joins = wanted and wanted <= after and not wanted <= pod.labels.items()
            if joins and service.ref.namespace == pod.ref.namespace:
                return
        change = self.world.label_pods(pod, dict(labels))
        kind, name = workload_of(pod)
        target = f"pod {pod.ref}" if kind == "Pod" else f"the pod template of {kind} {name}"
        text = f"label {target} {as_text(labels)}"
        yield Option(Cost.LABEL, (SuggestedEdit(target, "metadata.labels", text, change),))

    def _name_namespace(self, view: PolicyView, item: Item, obstacle: Obstacle) -> Iterator[Option]:
        """Select by the label that every namespace has, instead of one that no namespace has."""
        missing = {ObstacleKind.NAMESPACE_LABEL_MISSING, ObstacleKind.NAMESPACE_LABEL_DIFFERENT}
        if obstacle.kind not in missing or self.peer.pod is None or item.index is None:
            return
        policy, namespace = self.policy_of(view), self.peer.pod.ref.namespace
        keys = path_keys(item.path)
        for path, labels in _match_labels(value_at(self.world.object(policy), keys), keys):
            if not any("amespace" in str(key) for key in path[len(keys) :]):
                continue
            bad = [
                (key, value)
                for key, value in labels.items()
                if (self.peer.namespace_labels or {}).get(key) != value
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
            yield Option(Cost.NAME, (self.edit(policy, item.path, text, *operations),))

    def _is_used(self, key: str) -> bool:
        """Whether some namespace has a label of that key, so that it is not made up."""
        return any(key in space.labels for space in self.world.cluster.namespaces.values())

    def _add_rule(self, tier: TierView) -> Iterator[Option]:
        """A rule in the policy of the tier that is most about the subject."""
        views = [view for view in tier.policies if view.rules] or [
            view for view in tier.policies if view.policy.kind != NETWORK_POLICY
        ]
        if views:
            view = min(views, key=self._breadth)
            yield from self.insert(self.policy_of(view), None, self._action)

    def _reorder(self, tier: TierView, view: PolicyView, rule: RuleView) -> Iterator[Option]:
        """A later rule of the tier allows the flow: move it, or its policy, before the one that denies."""
        later = [
            (other, each)
            for other in tier.policies
            for each in other.rules
            if each.matches and each.action in {Action.ALLOW, self._action}
        ]
        if not later:
            return
        other, allowing = later[0]
        policy, denying = self.policy_of(other), self.policy_of(view)
        if other.policy == view.policy:
            keys = ("spec", self.section, allowing.index)
            text = f"move {_short(allowing)} of {policy.ref} before {_short(rule)}"
            moved: tuple[Operation, ...] = (
                {"op": "remove", "path": pointer(*keys)},
                {
                    "op": "add",
                    "path": pointer(*keys[:2], rule.index),
                    "value": value_at(self.world.object(policy), keys),
                },
            )
            yield Option(Cost.ORDER, (self.edit(policy, allowing.path, text, *moved),))
            return
        for own, number, where in (
            (policy, order_before(denying.order), f"before that of {denying.ref}"),
            (denying, policy.order + 1, f"after that of {policy.ref}"),
        ):
            field = _ORDER_FIELDS.get(own.kind)
            if field is not None and (number >= 0 or field == "order"):
                text = f"set spec.{field} of {own.ref} to {int(number)}, {where}"
                change = setting(self.world.object(own), ("spec", field), int(number))
                yield Option(Cost.ORDER, (self.edit(own, f"spec.{field}", text, change),))
                return

    def _breadth(self, view: PolicyView) -> int:
        policy = self.policy_of(view)
        if policy.subject.namespaces is not None:
            return len(self.world.cluster.pods)
        pods = self.world.pods_by_namespace.get(policy.ref.namespace, ())
        return sum(policy.subject.pods.matches(pod.labels) for pod in pods)

    def _add_policy(self) -> Iterator[Option]:
        pod = self.subject.pod
        rule = self.exact_rule(pod.ref.namespace, NETWORK_POLICY) if pod is not None else None
        if pod is not None and rule is not None:
            made = self.isolating(pod, rule)
            does = f"and allows {self.phrase([rule], pod.ref.namespace)}"
            yield Option(Cost.POLICY, (self.new_policy(pod, made, does),))


def _short(rule: RuleView) -> str:
    return rule.path.removeprefix("spec.")


def _path(keys: tuple[str | int, ...]) -> str:
    """ "ingress[0].from[1].podSelector" of keys that begin with "spec"."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys[1:])[1:]


def _match_labels(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, str]]]:
    """Every `matchLabels` inside a peer, with its path."""
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if key == "matchLabels" and isinstance(inner, Mapping):
            yield (*path, key), inner
        else:
            yield from _match_labels(inner, (*path, key))
