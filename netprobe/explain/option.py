"""Options to open or close a side of a flow: edits, written relative to the objects of the policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import ip_network
from itertools import count
from math import isfinite
from typing import Any

from netprobe.explain.explanation import FlowSide, PolicyView, RuleView, SideView
from netprobe.explain.phrases import describe_peer, describe_pods, describe_port
from netprobe.explain.world import World
from netprobe.manifests.change import Apply, Operation, SuggestedEdit, pointer, value_at
from netprobe.manifests.workload import CONTROLLER_LABELS, ROLLOUT_LABELS
from netprobe.model.flow import Family, Pod
from netprobe.model.labels import CHOSEN_LATER, NAME_LABEL, Labels, Selector
from netprobe.model.policy import (
    BASELINE_ADMIN_NETWORK_POLICY,
    NETWORK_POLICY,
    NETWORK_POLICY_ORDER,
    Action,
    Direction,
    IPBlock,
    Networks,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
)
from netprobe.model.text import listed
from netprobe.policies.fields import Decoder
from netprobe.policies.kinds import BY_KEY
from netprobe.policies.networkpolicy import dump_policy
from netprobe.simulate import Simulator
from netprobe.simulate.endpoint import Endpoint

MOST = 5
"""How many options are simulated for each reason."""

Cost = IntEnum("Cost", "MISSING_TYPE MERGED NAME LABEL REMOVED PORT PEER ORDER RULE NARROWED POLICY")
"""The most common mistakes come first; what adds the most text comes last."""

ISOLATING = 100
"""Cost of a policy for pods that none applies to, without a declaration that says what they need."""

MOST_NAMED = 20
"""How many peers or ports a suggestion spells out: a reader who edits by hand needs the whole list."""

_VERBS = {Action.ALLOW: "allows", Action.DENY: "denies", Action.PASS: "passes on to later tiers"}
_PEER_LISTS, _PORT_LISTS = {"from", "to"}, {"ports", "protocols"}


@dataclass(frozen=True, slots=True)
class Option:
    """Edits that should stop one reason for a verdict. The lower the cost, the likelier what is wanted."""

    cost: int
    edits: tuple[SuggestedEdit, ...]


class OptionMaker:
    """Common base of what makes the options for one side of one flow. `toward` is "from" or "to"."""

    def __init__(self, world: World, simulator: Simulator, flow_side: FlowSide, side: SideView) -> None:
        self.world, self.flow_side, self.side = world, flow_side, side
        self.direction, self.section = flow_side.direction, flow_side.direction.value
        flow, ingress = flow_side.flow, flow_side.direction is Direction.INGRESS
        ends = simulator.endpoint(flow.source), simulator.endpoint(flow.destination)
        self.peer, self.subject = ends if ingress else ends[::-1]
        self.toward = "from" if ingress else "to"
        self.port = PortRange(flow.protocol, flow.port, flow.port)

    def policy_of(self, view: PolicyView) -> Policy:
        return self.world.policies[view.policy.kind, str(view.policy)]

    def exact_peer(self, namespace: str, kind: str) -> Peer | None:
        return exact_peer(self.peer, self.flow_side.family, namespace, kind)

    def exact_rule(self, namespace: str, kind: str, action: Action = Action.ALLOW) -> Rule | None:
        """A rule for this very flow in a policy of a namespace; None if no rule can name the other end."""
        peer = self.exact_peer(namespace, kind)
        return Rule((peer,), (self.port,), action) if peer is not None else None

    def phrase(self, rules: Iterable[Rule], namespace: str) -> str:
        """ "TCP 80 from pods app=web of shop"."""
        return " and ".join(
            f"{listed(map(describe_port, rule.ports), MOST_NAMED)} {self.toward} "
            f"{listed((describe_peer(peer, namespace) for peer in rule.peers), MOST_NAMED)}"
            for rule in rules
        )

    def edit(self, policy: Policy, path: str, text: str, *operations: Operation) -> SuggestedEdit:
        change = self.world.patch(policy, *operations)
        return SuggestedEdit(str(policy.ref), path, text, change, policy.place(path))

    def insert(self, policy: Policy, before: RuleView | None, action: Action) -> Iterator[Option]:
        """A rule for this very flow, before another one or at the end of the policy."""
        rule = self.exact_rule(policy.ref.namespace, policy.kind, action)
        written = self.written(policy, rule) if rule is not None else None
        if rule is None or written is None:
            return
        keys, where = ("spec", self.section), ""
        change = self.append(policy, keys, written)
        if before is not None:
            where = f" before {before.path.removeprefix('spec.')}"
            change = {"op": "add", "path": pointer(*keys, before.index), "value": written}
        does = f"{_VERBS[action]} {self.phrase([rule], policy.ref.namespace)}"
        text = f"add a rule to {policy.ref}{where} that {does}"
        yield Option(Cost.RULE, (self.edit(policy, f"spec.{self.section}", text, change),))

    def policy_before(self, policy: Policy, action: Action) -> Iterator[Option]:
        """A policy for this subject alone, before one of the same tier, with a rule for this very flow."""
        pod, rule = self.subject.pod, self.exact_rule(policy.ref.namespace, policy.kind, action)
        made = self._before(policy, pod, rule) if pod is not None and rule else None
        if pod is not None and rule is not None and made is not None:
            does = f"and {_VERBS[action]} {self.phrase([rule], policy.ref.namespace)}"
            yield Option(Cost.POLICY, (self.new_policy(pod, made, does, policy),))

    def new_policy(
        self, pod: Pod, made: Mapping[str, Any], does: str, beside: Policy | None = None
    ) -> SuggestedEdit:
        """A new policy for pods with the labels of this one, in a file with other policies.

        `beside`: a policy of the same kind; without one, it is a NetworkPolicy in the namespace of the pod.
        """
        namespace = pod.ref.namespace
        own = [beside] if beside is not None else self.world.policies_by_namespace.get(namespace, [])
        origins = (policy.origin for policy in own)
        place = next((origin for origin in origins if origin and origin.line), self.world.some_origin)
        pods = describe_pods(own_labels(pod.labels))
        text = f"add a policy to {namespace} that selects {pods} {does}"
        if beside is not None:
            spec = made["spec"]
            order = ", ".join(f"{key} {spec[key]}" for key in ("tier", "priority", "order") if key in spec)
            where = f"before {beside.ref} ({order})" if order else f"before {beside.ref}"
            text = f"add a {made['kind']} {where} that selects {pods} of {namespace} {does}"
        return SuggestedEdit(f"namespace {namespace}", f"spec.{self.section}", text, Apply(made, place))

    # Rules and policies, as the kind of each policy has them.

    def written(self, policy: Policy, rule: Rule) -> Mapping[str, Any] | None:
        """A rule as in the object of a policy; None if its kind cannot express it."""
        found = self._object(self._only(policy, rule))
        return found["spec"][self.section][0] if found is not None else None

    def _object(self, policy: Policy) -> dict[str, Any] | None:
        """The object of a policy; None if its kind cannot express it, or an API server would refuse it."""
        kind = BY_KEY.get(policy.kind)
        if kind is None or kind.dump is None or kind.read is None:
            return None
        try:
            found: dict[str, Any] = kind.dump(policy)
        except ValueError:
            return None
        decoder = Decoder(strict=True)
        kind.read(decoder, found)
        return found if not decoder.errors else None

    def _before(self, policy: Policy, pod: Pod, rule: Rule) -> dict[str, Any] | None:
        """A policy for the pods with a pod's labels alone, which comes before another of its kind and tier.

        None if the kind has no such policies, or none can come before.
        """
        if policy.kind in {NETWORK_POLICY, BASELINE_ADMIN_NETWORK_POLICY}:
            return None
        namespace = pod.ref.namespace
        spaces = Selector.of({NAME_LABEL: namespace}) if policy.subject.namespaces is not None else None
        prefix = f"{policy.tier}." if policy.ref.name.startswith(f"{policy.tier}.") else ""
        stem = f"{prefix}{namespace}-{self._stem(pod)}"
        made = replace(
            policy,
            ref=replace(policy.ref, name=self._free(stem, policy.ref.namespace, policy.kind)),
            subject=Subject(own_labels(pod.labels), spaces),
            order=order_before(policy.order),
        )
        found = self._object(self._only(made, rule))
        source = self.world.object(policy)
        return found | {"apiVersion": source["apiVersion"]} if found and source else found

    def _free(self, stem: str, namespace: str, kind: str) -> str:
        """The first of NAME, NAME-2, NAME-3, … that no policy has."""
        where = f"{namespace}/" if namespace else ""
        names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        return next(name for name in names if (kind, f"{where}{name}") not in self.world.policies)

    def written_peer(self, policy: Policy, peer: Peer) -> tuple[str, Any] | None:
        """A peer with the name of its list: ("from", {…}); None for a kind without such a list."""
        return _item(self.written(policy, Rule((peer,))), _PEER_LISTS)

    def written_port(self, policy: Policy, port: Port) -> tuple[str, Any] | None:
        return _item(self.written(policy, Rule(ports=(port,))), _PORT_LISTS)

    def append(self, policy: Policy, keys: tuple[str | int, ...], value: Any) -> Operation:
        """Add to the end of a list, which may be missing."""
        if isinstance(value_at(self.world.object(policy), keys), list):
            return {"op": "add", "path": pointer(*keys, "-"), "value": value}
        return {"op": "add", "path": pointer(*keys), "value": [value]}

    def isolating(self, pod: Pod, *rules: Rule) -> dict[str, Any]:
        """A NetworkPolicy that isolates the pods with a pod's labels, except for what the rules allow."""
        namespace = pod.ref.namespace
        name = self._free(self._stem(pod), namespace, NETWORK_POLICY)
        made = Policy(PolicyRef(namespace, name), Subject(own_labels(pod.labels)))
        return dump_policy(self._only(made, *rules))

    def _only(self, policy: Policy, *rules: Rule) -> Policy:
        """The policy with only these rules."""
        ingress = self.direction is Direction.INGRESS
        return replace(policy, ingress=rules if ingress else None, egress=None if ingress else rules)

    def _stem(self, pod: Pod) -> str:
        return f"{pod.workload_name}-{self.section}"


def order_before(order: float) -> float:
    """An order that comes before another one; that of a policy without any is infinite."""
    return order - 1 if isfinite(order) else NETWORK_POLICY_ORDER


def path_keys(path: str) -> tuple[str | int, ...]:
    """("spec", "ingress", 0) of "spec.ingress[0]"."""
    parts = path.replace("[", ".").replace("]", "").split(".")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _item(rule: Mapping[str, Any] | None, lists: set[str]) -> tuple[str, Any] | None:
    return next(((key, value[0]) for key, value in (rule or {}).items() if key in lists and value), None)


def own_labels(labels: Labels) -> Selector:
    """A selector by those labels of a pod that its author set; without any, by labels that do not change."""
    known = {k: v for k, v in labels.items() if k not in ROLLOUT_LABELS and not v.startswith(CHOSEN_LATER)}
    written = {key: value for key, value in known.items() if key not in CONTROLLER_LABELS}
    return Selector.of(written or known)


def exact_peer(
    end: Endpoint, family: Family | None, namespace: str, kind: str = NETWORK_POLICY
) -> Peer | None:
    """A peer for one end in a policy of a namespace: by labels for a pod, otherwise by address."""
    if end.pod is None:
        address = end.address(family)
        if address is None:
            return None
        block = ip_network(address)
        return IPBlock(block) if kind == NETWORK_POLICY else Networks((block,))
    selector, home = own_labels(end.pod.labels), end.pod.ref.namespace
    return PodPeer(selector) if home == namespace else PodPeer(selector, Selector.of({NAME_LABEL: home}))


def exact_rules(flows: Iterator[tuple[Peer, PortRange]]) -> tuple[Rule, ...]:
    """The fewest rules that allow exactly these pairs of peers and ports."""
    ports: dict[Peer, dict[PortRange, None]] = {}
    for peer, port in flows:
        ports.setdefault(peer, {})[port] = None
    peers: dict[tuple[PortRange, ...], list[Peer]] = {}
    for peer, found in ports.items():
        peers.setdefault(tuple(sorted(found, key=str)), []).append(peer)
    return tuple(Rule(tuple(group), key) for key, group in peers.items())
