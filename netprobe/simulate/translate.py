"""Flows to a Service: each backend decided for itself, then one verdict on the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netprobe.model.cluster import Service
from netprobe.model.flow import Family, Flow, Via
from netprobe.model.policy import Direction, IPBlock
from netprobe.model.verdict import Cause, Decision, Verdict
from netprobe.simulate.endpoint import FAMILIES, Endpoint, first_of_each_family
from netprobe.simulate.match import opens, within
from netprobe.simulate.service import Backend, backends

if TYPE_CHECKING:
    from netprobe.simulate.simulator import Simulator


def families(simulator: Simulator, source: Endpoint, service: Service) -> tuple[Family | None, ...]:
    """The families in which a source reaches a Service; a headless one has those of its backends."""
    addresses = {address.version for address in service.addresses} or {
        family
        for pod in simulator.cluster.pods.values()
        if pod.ref.namespace == service.ref.namespace
        and service.selector is not None
        and service.selector.items() <= pod.labels.items()
        for family in first_of_each_family(pod.addresses)
    }
    if not addresses and not source.addresses:
        return (None,)
    return tuple(
        family
        for family in FAMILIES
        if (family in addresses or not addresses) and (family in source.addresses or not source.addresses)
    )


def decide(simulator: Simulator, flow: Flow, service: Service) -> Decision:
    """The decisions of all backends. One verdict where they agree, UNKNOWN where they do not.

    UNKNOWN also, with the reason, where no backend can be named.
    """
    source = simulator.endpoint(flow.source)
    own = families(simulator, source, service)
    if not own:
        return Decision(
            Verdict.UNKNOWN, reason=f"{source.name} and {service.ref} have no address family in common"
        )
    if flow.family is None and len(own) == 1:
        flow = replace(flow, family=own[0])
    found = backends(simulator.cluster, service, flow)
    if isinstance(found, str):
        return Decision(Verdict.UNKNOWN, reason=found)
    decisions = tuple(_backend(simulator, flow, source, service, backend) for backend in found)
    verdicts = {decision.verdict for _, decision in decisions}
    first = decisions[0][1]
    undefined = next((decision.undefined for _, decision in decisions if decision.undefined), None)
    if len(verdicts) == 1:
        return replace(first, undefined=undefined, backends=decisions)
    passing = sum(decision.verdict is Verdict.ALLOW for _, decision in decisions)
    reason = f"the backends differ: {passing} of {len(decisions)} would answer"
    return Decision(Verdict.UNKNOWN, undefined=undefined, reason=reason, backends=decisions)


def _backend(
    simulator: Simulator, flow: Flow, source: Endpoint, service: Service, backend: Backend
) -> tuple[Flow, Decision]:
    via = Via.SERVICE if flow.via is Via.POD else flow.via
    onward = replace(flow, destination=backend.pod, port=backend.port, via=via)
    decision = simulator.decide(onward)
    if decision.undefined is None:
        undefined = _before_translation(simulator, flow, service, decision)
        undefined = undefined or _rewritten_source(source, via, decision)
        decision = replace(decision, undefined=undefined)
    return onward, decision


def _before_translation(simulator: Simulator, flow: Flow, service: Service, decision: Decision) -> str | None:
    """Whether egress hangs on seeing the Service's address or the pod's: undefined (docs).

    It does where no block admits the pod and one holds the Service's address, and where nothing but
    blocks admits the pod and none of those holds the Service's address.
    """
    egress = decision.egress
    if not egress.isolating or not service.addresses:
        return None
    addresses = [a for a in service.addresses if flow.family in {None, a.version}]
    blocks = _egress_blocks(simulator, flow, egress.isolating)
    seen = any(within(block, address) for block in blocks for address in addresses)
    by_block = bool(egress.allowing) and all(_by_block(simulator, cause) for cause in egress.allowing)
    if (not egress.allowing and seen) or (by_block and not seen):
        return "an egress ipBlock against a Service: its address may be seen before or after translation"
    return None


def _egress_blocks(simulator: Simulator, flow: Flow, isolating: Sequence[Cause]) -> list[IPBlock]:
    """The blocks that would open the Service's own port to whoever holds its address."""
    names = {cause.policy for cause in isolating}
    return [
        peer
        for policy in simulator.cluster.policies
        if policy.ref in names
        for rule in policy.rules(Direction.EGRESS) or ()
        if any(opens(entry, flow.port, flow.protocol, ()) for entry in rule.ports)
        for peer in rule.peers
        if isinstance(peer, IPBlock)
    ]


def _by_block(simulator: Simulator, cause: Cause) -> bool:
    if cause.peer is None or cause.rule is None:
        return False
    policy = next(policy for policy in simulator.cluster.policies if policy.ref == cause.policy)
    rules = policy.rules(cause.direction) or ()
    return isinstance(rules[cause.rule].peers[cause.peer], IPBlock)


def _rewritten_source(source: Endpoint, via: Via, decision: Decision) -> str | None:
    """A node port or a load balancer may replace the source's address by a node's: undefined (docs)."""
    if source.pod is not None and via is not Via.NODE_PORT:
        return None
    ingress = decision.ingress
    if not ingress.isolating or any(cause.peer is None for cause in ingress.allowing):
        return None
    return "a node port or load balancer may rewrite the source's address"
