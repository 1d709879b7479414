"""Policies that almost apply: they would decide a flow if they selected its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from netprobe.explain.explanation import FlowSide, NearMiss, NearMissKind, RuleView, SideView
from netprobe.explain.obstacle import of_selector, requirements
from netprobe.explain.phrases import describe_pods
from netprobe.explain.view import Views
from netprobe.explain.world import World
from netprobe.manifests.workload import CONTROLLER_LABELS
from netprobe.model.flow import Pod
from netprobe.model.labels import Operator, Requirement
from netprobe.model.policy import NETWORK_POLICY, Action, Direction, Policy, PolicyRef
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.policies.kinds import BY_KEY

MOST = 5
"""How many policies are named for one side."""
_ALLOWS, _CLOSES = "would allow it", "would close it"
_TURNS = {_ALLOWS, _CLOSES}
_TYPES = {"policyTypes", "types"}
"""The fields in which kinds list the directions that a policy applies to."""


class NearMisses:
    """Finds such policies for the sides of flows in one cluster."""

    def __init__(self, world: World, views: Views) -> None:
        self._world, self._views = world, views
        self._selecting: dict[PolicyRef, bool] = {}

    def of(self, side: SideView, flow_side: FlowSide, pod: Pod | None) -> tuple[NearMiss, ...]:
        """The policies that would turn the verdict of a side. `pod` is its subject."""
        if pod is None:
            return ()
        applying = {view.policy for view in side.policies}
        found = []
        for policy in self._candidates(pod):
            miss = None if policy.ref in applying else self._miss(policy, pod, flow_side.direction)
            would = self._would(policy, side, flow_side) if miss is not None else None
            if miss is not None and would is not None:
                text = f"{would}, but {miss.text}"
                found.append(replace(miss, text=text, decides=would in _TURNS))
        return tuple(found[:MOST])

    def _candidates(self, pod: Pod) -> Iterator[Policy]:
        """The policies of the pod's namespace, then others that look at one of its labels."""
        own = pod.ref.namespace
        yield from self._world.policies_by_namespace.get(own, ())
        labelled = (policy for label in pod.labels.items() for policy in self._by_label.get(label, ()))
        yield from {policy.ref: policy for policy in labelled if policy.ref.namespace != own}.values()

    @cached_property
    def _by_label(self) -> Mapping[tuple[str, str], list[Policy]]:
        """Policies of cluster-scoped kinds, and those that select no pod of their namespace, by label."""
        found: dict[tuple[str, str], list[Policy]] = defaultdict(list)
        for policy in self._world.cluster.policies:
            if not policy.ref.namespace or not self._subjects(policy):
                for each in requirements(policy.subject.pods):
                    if each.operator is Operator.IN and len(each.values) == 1:
                        found[each.key, each.values[0]].append(policy)
        return found

    def _would(self, policy: Policy, side: SideView, flow_side: FlowSide) -> str | None:
        """What the policy would do to turn the verdict if it applied; None if it would not."""
        rules = (self.with_direction(policy, flow_side.direction) or policy).rules(flow_side.direction)
        if rules is None:
            return None
        views = [
            self._views.rule(policy, index, rule, flow_side)
            for index, rule in enumerate(rules)
            if rule.action is not Action.LOG
        ]
        action = next((view.action for view in views if view.matches), None)
        if side.verdict is Verdict.DENY:
            if action is Action.ALLOW:
                return _ALLOWS
            opened = [item.says for view in views if _on_other_ports(view) for item in view.ports]
            actual = f"{flow_side.flow.protocol.value} {flow_side.flow.port}"
            return f"would allow {listed(opened)}, not {actual}" if opened and action is None else None
        isolates = action is None and not side.policies and policy.kind == NETWORK_POLICY
        return _CLOSES if action is Action.DENY or isolates else None

    def _miss(self, policy: Policy, pod: Pod, direction: Direction) -> NearMiss | None:
        """Why a policy does not apply, if it almost does."""
        selector, spaces = policy.subject.pods, policy.subject.namespaces
        labels = self._views.simulator.directory.namespace_labels[pod.ref.namespace]
        if policy.ref.namespace not in {pod.ref.namespace, ""}:
            return _elsewhere(policy, pod) if selector.matches(pod.labels) else None
        if spaces is not None and not spaces.matches(labels):
            return None
        place = policy.place("spec.podSelector")
        unmet = [each for each in requirements(selector) if not each.matches(pod.labels)]
        if not unmet and selector.matches(pod.labels):
            if policy.rules(direction) is not None:
                return None
            word = direction.value.capitalize()
            text = f"it has no effect on {direction.value}: policyTypes does not include {word}"
            return NearMiss(
                policy.ref, NearMissKind.DIRECTION, text, (), policy.place(f"spec.{direction.value}")
            )
        chosen = {each.key for each in unmet} & CONTROLLER_LABELS
        if not unmet or chosen or not self._almost(policy, pod, unmet):
            return None
        obstacle = of_selector(selector, pod.labels, f"{pod.ref}, which", False)
        assert obstacle is not None  # noqa: S101 (some requirement is unmet)
        text = f"it does not select {obstacle.text}"
        return NearMiss(policy.ref, NearMissKind.LABELS, text, obstacle.labels, place)

    def _almost(self, policy: Policy, pod: Pod, unmet: list[Requirement]) -> bool:
        """Whether the pod has some of the labels, or one that is written almost the same."""
        met = len(requirements(policy.subject.pods)) - len(unmet)
        if met and met >= len(unmet):
            return True
        if not policy.ref.namespace or self._subjects(policy):
            return False
        return bool(met) or any(
            get_close_matches(pod.labels.get(each.key, ""), each.values, 1, 0.6)
            or (each.key not in pod.labels and get_close_matches(each.key, pod.labels, 1, 0.8))
            for each in unmet
        )

    def _subjects(self, policy: Policy) -> bool:
        """Whether the policy selects any pod of its namespace."""
        found = self._selecting.get(policy.ref)
        if found is None:
            pods = self._world.pods_by_namespace.get(policy.ref.namespace, ())
            found = any(policy.subject.pods.matches(pod.labels) for pod in pods)
            self._selecting[policy.ref] = found
        return found

    # A direction that is written and has no effect.

    def with_direction(self, policy: Policy, direction: Direction) -> Policy | None:
        """The policy if its list of types included a direction for which it has rules; None if it does."""
        if policy.rules(direction) is not None or self.types(policy) is None:
            return None
        obj = self._world.object(policy) or {}
        field, types = self.types(policy) or ("", [])
        changed = {**obj, "spec": {**obj["spec"], field: [*types, direction.value.capitalize()]}}
        kind = BY_KEY.get(policy.kind)
        if kind is None or not obj["spec"].get(direction.value):
            return None
        try:
            return replace(kind.policy(changed), ref=policy.ref, origin=policy.origin)
        except ValueError:
            return None

    def types(self, policy: Policy) -> tuple[str, list[Any]] | None:
        """The field with the directions of a policy, as it is written."""
        spec = (self._world.object(policy) or {}).get("spec")
        if not isinstance(spec, Mapping):
            return None
        return next(((key, list(spec[key])) for key in _TYPES if isinstance(spec.get(key), list)), None)


def _elsewhere(policy: Policy, pod: Pod) -> NearMiss:
    text = (
        f"it selects {describe_pods(policy.subject.pods)} of its own namespace {policy.ref.namespace}, "
        f"which has none; such pods are in {pod.ref.namespace}"
    )
    return NearMiss(policy.ref, NearMissKind.NAMESPACE, text, (), policy.place("spec.podSelector"))


def _on_other_ports(view: RuleView) -> bool:
    conditions = all(item.obstacle is None for item in view.conditions)
    return view.action is Action.ALLOW and view.peer_matches and not view.port_matches and conditions
