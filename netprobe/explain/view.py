"""The sides of a flow: every policy that selects an end, with each rule, peer and port compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from netprobe.explain.explanation import (
    FlowSide,
    Item,
    Obstacle,
    ObstacleKind,
    PolicyView,
    Role,
    RuleView,
    SideView,
    TierView,
)
from netprobe.explain.obstacle import of_peer, of_port
from netprobe.explain.phrases import describe_peer, describe_port
from netprobe.model.cluster import by_namespace
from netprobe.model.policy import (
    ANY_PEER,
    ANY_PORT,
    Action,
    AnyPeer,
    Direction,
    IPBlock,
    Policy,
    PortRange,
    Rule,
    Tier,
)
from netprobe.simulate import Simulator
from netprobe.simulate.doubt import variants
from netprobe.simulate.endpoint import ASSUMED
from netprobe.simulate.match import opens
from netprobe.simulate.tiers import in_order


class Views:
    """Makes the sides of flows for one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        policies = simulator.cluster.policies
        self._tiers = {
            policies[number].ref: tier for tier, number in in_order(simulator.cluster, simulator.profile)
        }
        self._services = by_namespace(simulator.cluster.services.values())

    def side(self, flow_side: FlowSide) -> SideView:
        """One end's view of a flow between pods and addresses."""
        simulator, direction, flow = self.simulator, flow_side.direction, flow_side.flow
        source, destination = simulator.endpoint(flow.source), simulator.endpoint(flow.destination)
        ingress = direction is Direction.INGRESS
        subject, peer = (destination, source) if ingress else (source, destination)
        policies = simulator.sides.applying(subject.pod, direction) if subject.pod else ()
        viewed = [
            (
                self._tiers[policy.ref],
                PolicyView(
                    policy.ref,
                    tuple(
                        self.rule(policy, index, rule, flow_side)
                        for index, rule in enumerate(policy.rules(direction) or ())
                    ),
                    policy.place(""),
                    self._tiers[policy.ref].name,
                ),
            )
            for policy in policies
        ]
        peers = (entry for p in policies for rule in p.rules(direction) or () for entry in rule.peers)
        compared = {ASSUMED[entry.cidr.version] for entry in peers if isinstance(entry, IPBlock)}
        assumed = tuple(sorted(compared, key=str)) if peer.assumed else ()
        return SideView(direction, subject.name, peer.name, tuple(_walk(viewed)), assumed)

    def rule(self, policy: Policy, index: int, rule: Rule, flow_side: FlowSide) -> RuleView:
        """One rule compared with a flow, whether or not its policy selects the subject."""
        direction, flow = flow_side.direction, flow_side.flow
        rule = self._used(rule) or rule
        ends = self.simulator.endpoint(flow.source), self.simulator.endpoint(flow.destination)
        ingress = direction is Direction.INGRESS
        peer, destination = ends[0 if ingress else 1], ends[1]
        path = f"spec.{direction.value}[{index}]"
        namespace = policy.ref.namespace
        own = () if destination.pod is None else self._services.get(destination.pod.ref.namespace, ())
        peers = [
            (describe_peer(each, namespace), of_peer(self.simulator, policy, each, peer, flow_side))
            for each in rule.peers
        ]
        ports = [(describe_port(each), of_port(each, flow, destination, own)) for each in rule.ports]
        return RuleView(
            index,
            path,
            _items(policy, f"{path}.{'from' if ingress else 'to'}", peers, rule.peers == ANY_PEER),
            _items(policy, f"{path}.ports", ports, rule.ports == ANY_PORT),
            policy.place(path),
            rule.action,
            rule.name,
            tuple(
                Item(None, path, says, obstacle, policy.place(path))
                for says, obstacle in self._conditions(policy, rule, flow_side)
            ),
        )

    def _used(self, rule: Rule) -> Rule | None:
        """A rule as the network plugin applies it: one with an unknown peer fails closed."""
        return next((each.rule for each in variants((rule,), self.simulator.profile) if each.used), None)

    def _conditions(
        self, policy: Policy, rule: Rule, flow_side: FlowSide
    ) -> Iterator[tuple[str, Obstacle | None]]:
        """What a rule requires besides peers and ports, as phrases, and why that is not met."""
        if self._used(rule) is None:
            text = (
                f"{self.simulator.profile.name} does not know this kind of peer, so the rule does not exist"
            )
            yield text, Obstacle(ObstacleKind.UNKNOWN_PEER, text, text)
        flow = flow_side.flow
        destination = self.simulator.endpoint(flow.destination)
        ingress = flow_side.direction is Direction.INGRESS
        subject = destination if ingress else self.simulator.endpoint(flow.source)
        if not isinstance(rule.own, AnyPeer):
            says = f"{subject.name} itself is among {describe_peer(rule.own, policy.ref.namespace)}"
            unmet = of_peer(self.simulator, policy, rule.own, subject, flow_side)
            yield says, unmet and replace(unmet, kind=ObstacleKind.OWN_END, labels=())
        if rule.not_ports:
            declared = destination.pod.ports if destination.pod else ()
            hit = [port for port in rule.not_ports if opens(port, flow.port, flow.protocol, declared)]
            text = f"the rule excepts {describe_port(hit[0])}" if hit else ""
            says = f"not {', '.join(map(describe_port, rule.not_ports))}"
            yield says, Obstacle(ObstacleKind.PORT_EXCEPTED, text, says) if hit else None
        if rule.source_ports != ANY_PORT:
            says = f"from port {', '.join(map(describe_port, rule.source_ports))}"
            text = f"the connection must come {says}, and clients use temporary ports"
            open_to_clients = any(
                isinstance(port, PortRange) and (port.first, port.last) == (1, 65535)
                for port in rule.source_ports
            )
            yield says, None if open_to_clients else Obstacle(ObstacleKind.SOURCE_PORT, text, says)


def _walk(viewed: Sequence[tuple[Tier, PolicyView]]) -> Iterable[TierView]:
    """The tiers in their order, each with what it does with the flow."""
    reached = True
    for tier, group in groupby(viewed, key=lambda item: item[0]):
        policies = [view for _, view in group]
        outcome: Action | None = None
        ended = False  # a later rule matches with another action
        marked = []
        for view in policies:
            rules = []
            for rule in view.rules:
                role = Role.NO_MATCH
                if rule.matches and rule.action is Action.LOG:
                    role = Role.SHADOWED if outcome is not None else Role.LOGS
                elif rule.matches:
                    ended = ended or (outcome is not None and rule.action is not outcome)
                    outcome = outcome or rule.action
                    role = Role.PASSES if outcome is Action.PASS else Role.DECIDES
                    role = Role.SHADOWED if ended or not reached else role
                rules.append(replace(rule, role=role))
            marked.append(replace(view, rules=tuple(rules)))
        by_default = outcome is None
        found = outcome or tier.default
        yield TierView(tier.name, tier.default, tuple(marked), found, by_default, reached)
        reached = reached and found is Action.PASS


def _items(
    policy: Policy, path: str, entries: Iterable[tuple[str, Obstacle | None]], everything: bool
) -> tuple[Item, ...]:
    """The entries of a list. An absent or empty list is one entry without an index."""
    found = []
    for index, (says, obstacle) in enumerate(entries):
        where = path if everything else f"{path}[{index}]"
        found.append(Item(None if everything else index, where, says, obstacle, policy.place(where)))
    return tuple(found)
