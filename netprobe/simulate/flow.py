"""What the policies of a cluster decide for one flow, from its two sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster, Service
from netprobe.model.flow import End, External, Family, Flow, PodRef, ServiceRef, Via, is_loopback
from netprobe.model.matrix import Matrix
from netprobe.model.policy import Direction, Unsimulated
from netprobe.model.verdict import Decision, Side, Verdict, together
from netprobe.simulate import service as services
from netprobe.simulate.chosen import ChosenLabels
from netprobe.simulate.endpoint import Directory, Endpoint, common_families
from netprobe.simulate.profile import CALICO, Profile, Treatment
from netprobe.simulate.side import Sides

ITSELF = "a pod always reaches its own address"
LOOPBACK = "loopback never leaves the pod"
OWN_NODE_INGRESS = "a node always reaches the pods that run on it"


class Simulator:
    """Decides flows by the policies of one cluster, as the APIs define them.

    What an API leaves open follows the profile, and the Decision says so in `undefined`. The cost of a
    decision grows with the policies that may apply to the two ends; `evaluate` is for all pairs.
    """

    def __init__(self, cluster: Cluster, profile: Profile = CALICO) -> None:
        self.cluster = cluster
        self.profile = profile
        self.directory = Directory(cluster)
        self.sides = Sides(cluster, profile, self.directory)
        self._chosen = ChosenLabels(cluster, profile)
        self.qualifiers = _Qualifiers(cluster)

    def decide(self, flow: Flow) -> Decision:
        """The verdict on a flow with every cause on both sides.

        A flow without a family is decided in each family that its ends have in common. If those agree, the
        first one's decision is returned; if they differ the verdict is UNKNOWN: `split` the flow first.
        UsageError if an end is not in the cluster or a Service is the source.
        """
        if (known := self._never_sent(flow)) is not None:
            return known
        destination = self._destination(flow.destination)
        if isinstance(destination, ServiceRef):
            return self._to_service(flow, self.cluster.services[destination])
        source = self.endpoint(flow.source)
        families = self._families(flow, source, destination)
        if not families:
            return Decision(Verdict.UNKNOWN, reason=_no_family(flow, source, destination))
        decisions = [self.between(flow, source, destination, family) for family in families]
        if len({decision.verdict for decision in decisions}) > 1:
            words = ", ".join(
                f"IPv{family}: {decision.verdict.value}"
                for family, decision in zip(families, decisions, strict=True)
            )
            return Decision(Verdict.UNKNOWN, reason=f"the address families differ ({words}): specify one")
        return decisions[0]

    def _never_sent(self, flow: Flow) -> Decision | None:
        """The decision on a flow that no policy sees: of a finished pod, or to the pod's loopback."""
        for end in (flow.source, flow.destination):
            if end in self.cluster.finished:
                return Decision(Verdict.UNKNOWN, reason=f"{end} has finished: it sends and answers nothing")
        if isinstance(flow.source, External) and is_loopback(flow.source.address):
            return Decision(Verdict.UNKNOWN, reason=f"{flow.source} is every pod's own: it reaches no other")
        if isinstance(flow.destination, External) and is_loopback(flow.destination.address):
            return Decision(Verdict.ALLOW, reason=LOOPBACK)
        return None

    def matrix(self, flows: Iterable[Flow]) -> Matrix[Decision]:
        return Matrix((flow, self.decide(flow)) for flow in flows)

    def families(self, source: End, destination: End) -> tuple[Family | None, ...]:
        """The families in which a pair can talk: (None,) without addresses, () with none in common."""
        end = self._destination(destination)
        if isinstance(end, ServiceRef):
            return services.families(self.cluster, self.endpoint(source), self.cluster.services[end])
        return common_families(self.endpoint(source), end)

    def split(self, flow: Flow) -> tuple[Flow, ...]:
        """The flows with a family that replace a flow without one.

        One for each family if the verdicts differ, else one: with the only family that the ends have in
        common, or without a family for both, for ends without addresses and for ends that share none.
        """
        rows = self.apart(flow)
        if len(rows) > 1 and len({self.decide(row).verdict for row in rows}) == 1:
            return (flow,)
        return rows

    def apart(self, flow: Flow) -> tuple[Flow, ...]:
        """The rows of a flow without a family, one for each that its ends have in common; else the flow."""
        families = self.families(flow.source, flow.destination)
        if flow.family is not None or not families:
            return (flow,)
        return tuple(replace(flow, family=family) for family in families)

    def endpoint(self, end: End) -> Endpoint:
        """An end that is a pod or an address, as policies see it; UsageError for anything else."""
        match end:
            case PodRef():
                return self.directory.pod(end)
            case External():
                return self.directory.external(end)
            case ServiceRef():
                raise UsageError(f"{end} cannot be the source of a flow: connections come from pods")

    def between(self, flow: Flow, source: Endpoint, destination: Endpoint, family: Family | None) -> Decision:
        """A flow between two ends that are pods or addresses, in one family."""
        decision = self._between(flow, source, destination, family)
        itself = source.pod is not None and source.pod is destination.pod
        doubt = None if itself else self._chosen.doubt(flow, source, destination, family, decision.verdict)
        return replace(decision, verdict=Verdict.UNKNOWN, reason=doubt) if doubt else decision

    def _between(
        self, flow: Flow, source: Endpoint, destination: Endpoint, family: Family | None
    ) -> Decision:
        itself = source.pod_behind is not None and source.pod_behind is destination.pod_behind
        if itself and flow.via in {Via.POD, Via.HOST, Via.EXTERNAL}:
            # It never leaves the pod (docs).
            return Decision(Verdict.ALLOW, reason=ITSELF)
        if source.pod_behind is None and destination.pod_behind is None:
            return Decision(Verdict.UNKNOWN, reason="neither end is a pod of the cluster")
        egress = self.sides.judge(Direction.EGRESS, source, destination, flow, family)
        ingress = self.sides.judge(Direction.INGRESS, destination, source, flow, family)
        undefined = reason = None
        if itself:
            undefined = "a pod to itself through its Service (kubernetes #95879)"
            if self.profile.self_through_service is Treatment.ALWAYS:
                egress, ingress = Side(Direction.EGRESS), Side(Direction.INGRESS)
        if self.directory.same_node(source, destination) and egress.applies:
            undefined = "a pod to its own node (kube-network-policies #283)"
            if self.profile.own_node is Treatment.ALWAYS:
                egress = Side(Direction.EGRESS)
        if self.directory.same_node(destination, source) and ingress.applies:
            # "... OR if the traffic source is the pod's local node" (types.go)
            reason, ingress = OWN_NODE_INGRESS, Side(Direction.INGRESS)
        for end, direction, other in (
            (source, Direction.EGRESS, ingress.applies or reason),
            (destination, Direction.INGRESS, egress.applies),
        ):
            if end.host and (other or self.sides.applying(end.host, direction)):
                undefined = undefined or f"{end.name} is on its node's network (hostNetwork)"
        verdict = together(egress.verdict, ingress.verdict)
        reason = reason or (verdict is Verdict.UNKNOWN and (egress.unknown or ingress.unknown)) or None
        undefined = undefined or _undefined(verdict, egress, ingress)
        return Decision(
            verdict, egress, ingress, undefined, reason, qualified_by=self.qualifiers.of(source, destination)
        )

    def _to_service(self, flow: Flow, service: Service) -> Decision:
        """The decisions for all backends: one verdict if they agree, UNKNOWN if not.

        Also UNKNOWN, with the reason, if no backend can be determined.
        """
        source = self.endpoint(flow.source)
        common = services.families(self.cluster, source, service)
        if not common:
            return Decision(
                Verdict.UNKNOWN, reason=f"{source.name} and {service.ref} have no address family in common"
            )
        if flow.family is None and len(common) == 1:
            flow = replace(flow, family=common[0])
        found = services.backends(self.cluster, service, flow)
        if isinstance(found, str):
            return Decision(Verdict.UNKNOWN, reason=found)
        decisions = tuple(self._to_backend(flow, source, service, backend) for backend in found)
        verdicts = {decision.verdict for _, decision in decisions}
        undefined = next((decision.undefined for _, decision in decisions if decision.undefined), None)
        qualifiers = tuple(dict.fromkeys(one for _, decision in decisions for one in decision.qualified_by))
        if len(verdicts) == 1:
            return replace(decisions[0][1], undefined=undefined, backends=decisions, qualified_by=qualifiers)
        passing = sum(decision.verdict is Verdict.ALLOW for _, decision in decisions)
        reason = f"the backends differ: {passing} of {len(decisions)} would answer"
        return Decision(
            Verdict.UNKNOWN,
            undefined=undefined,
            reason=reason,
            backends=decisions,
            qualified_by=qualifiers,
        )

    def _to_backend(
        self, flow: Flow, source: Endpoint, service: Service, backend: services.Backend
    ) -> tuple[Flow, Decision]:
        via = Via.SERVICE if flow.via is Via.POD else flow.via
        onward = replace(flow, destination=backend.end, port=backend.port, via=via)
        decision = self.decide(onward)
        if decision.undefined is None:
            undefined = self._seen_before_translation(flow, source, service, onward, decision)
            undefined = undefined or services.rewritten_source(source, via, decision)
            decision = replace(decision, undefined=undefined)
        return onward, decision

    def _seen_before_translation(
        self, flow: Flow, source: Endpoint, service: Service, onward: Flow, decision: Decision
    ) -> str | None:
        """Whether egress depends on seeing the Service's address or the pod's: undefined (docs)."""
        if not decision.egress.applies or not service.addresses:
            return None
        addresses = [address for address in service.addresses if flow.family in {None, address.version}]
        backend = self.endpoint(onward.destination)
        before = self.sides.before_translation(source, backend, onward, flow.port, addresses)
        if before.verdict is decision.egress.verdict:
            return None
        return "an egress ipBlock against a Service: its address may be seen before or after translation"

    def _destination(self, end: End) -> Endpoint | ServiceRef:
        """The destination; a Service is also found by its address."""
        if isinstance(end, External):
            end = self.directory.service_at(end.address) or end
        if isinstance(end, ServiceRef):
            if end not in self.cluster.services:
                raise UsageError(f"there is no Service {end}")
            return end
        return self.endpoint(end)

    @staticmethod
    def _families(flow: Flow, source: Endpoint, destination: Endpoint) -> tuple[Family | None, ...]:
        families = common_families(source, destination)
        if flow.family is None:
            return families
        return (flow.family,) if flow.family in families or families == (None,) else ()


class _Qualifiers:
    """The objects of a cluster that may decide flows and are not evaluated, by what they may affect."""

    def __init__(self, cluster: Cluster) -> None:
        self._all = cluster.unsimulated
        self._known: dict[tuple[str | None, str | None, bool], tuple[Unsimulated, ...]] = {}

    def of(self, source: Endpoint, destination: Endpoint) -> tuple[Unsimulated, ...]:
        """Those that may affect a flow between two ends, in the order of the cluster."""
        if not self._all:
            return ()
        ends = (source, destination)
        one, other = (end.pod_behind.ref.namespace if end.pod_behind else None for end in ends)
        key = (one, other, any(end.pod is None for end in ends))
        if key not in self._known:
            self._known[key] = tuple(each for each in self._all if _affects(each, *key))
        return self._known[key]


def _affects(each: Unsimulated, one: str | None, other: str | None, outside: bool) -> bool:
    if each.hosts and not outside:
        return False
    return not each.ref.namespace or each.ref.namespace in {one, other}


def _undefined(verdict: Verdict, egress: Side, ingress: Side) -> str | None:
    """Why the verdict may be the other one elsewhere: for that, all sides that deny have to change."""
    sides = [side for side in (egress, ingress) if side.verdict is verdict]
    texts = [side.undefined for side in sides if side.undefined]
    enough = len(sides) if verdict is Verdict.DENY else 1
    return texts[0] if len(texts) >= enough else None


def _no_family(flow: Flow, source: Endpoint, destination: Endpoint) -> str:
    if flow.family is not None:
        lacking = [
            end.name for end in (source, destination) if end.addresses and flow.family not in end.addresses
        ]
        return f"no IPv{flow.family} address: {', '.join(dict.fromkeys(lacking))}"
    return f"{source.name} and {destination.name} have no address family in common"
