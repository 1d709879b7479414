"""What the policies of a cluster say about a flow: the one place where the two sides are put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Family, Flow, PodRef, ServiceRef, Via
from netprobe.model.matrix import Matrix
from netprobe.model.policy import Direction
from netprobe.model.verdict import Decision, Side, Verdict
from netprobe.simulate import translate
from netprobe.simulate.endpoint import Directory, Endpoint, common_families
from netprobe.simulate.profile import CALICO, Edge, Profile
from netprobe.simulate.side import Sides

ITSELF = "a pod always reaches its own address"
OWN_NODE_INGRESS = "a node always reaches the pods that run on it"


class Simulator:
    """Decides flows by the policies of one cluster, as the API defines them.

    What the API leaves open follows the profile, and the Decision says so in `undefined`. A single
    decision costs as much as the policies of the two ends' namespaces; `evaluate` is for all pairs.
    """

    def __init__(self, cluster: Cluster, profile: Profile = CALICO) -> None:
        self.cluster = cluster
        self.profile = profile
        self.directory = Directory(cluster)
        self.sides = Sides(cluster, profile, self.directory)

    def decide(self, flow: Flow) -> Decision:
        """The verdict on a flow with every cause on both sides.

        A flow without a family is decided in each family that its ends have in common. Where those agree,
        the first one's decision stands for both; where they differ the verdict is UNKNOWN: `split` the flow
        first. UsageError where an end is not in the cluster or a Service is the source.
        """
        destination = self._destination(flow.destination)
        if isinstance(destination, ServiceRef):
            return translate.decide(self, flow, self.cluster.services[destination])
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
            return Decision(Verdict.UNKNOWN, reason=f"the address families differ ({words}): ask for one")
        return decisions[0]

    def matrix(self, flows: Iterable[Flow]) -> Matrix[Decision]:
        return Matrix((flow, self.decide(flow)) for flow in flows)

    def families(self, source: End, destination: End) -> tuple[Family | None, ...]:
        """The families in which a pair can talk: (None,) without addresses, () with none in common."""
        end = self._destination(destination)
        if isinstance(end, ServiceRef):
            return translate.families(self, self.endpoint(source), self.cluster.services[end])
        return common_families(self.endpoint(source), end)

    def split(self, flow: Flow) -> tuple[Flow, ...]:
        """The rows that a flow without a family stands for.

        One a family where the verdicts differ, else one: of the only family that the ends have in common,
        or without a family for both, for ends without addresses and for ends that share none.
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
        itself = source.somebody is not None and source.somebody is destination.somebody
        if itself and flow.via in {Via.POD, Via.HOST}:
            # It never leaves the pod (docs).
            return Decision(Verdict.ALLOW, reason=ITSELF)
        if source.somebody is None and destination.somebody is None:
            return Decision(Verdict.UNKNOWN, reason="neither end is a pod of the cluster")
        egress = self.sides.judge(Direction.EGRESS, source, destination, flow, family)
        ingress = self.sides.judge(Direction.INGRESS, destination, source, flow, family)
        undefined = reason = None
        if itself:
            undefined = "a pod to itself through its Service (kubernetes #95879)"
            if self.profile.self_through_service is Edge.ALWAYS:
                egress, ingress = Side(Direction.EGRESS), Side(Direction.INGRESS)
        if self.directory.same_node(source, destination) and egress.isolating:
            undefined = "a pod to its own node (kube-network-policies #283)"
            if self.profile.own_node is Edge.ALWAYS:
                egress = Side(Direction.EGRESS)
        if self.directory.same_node(destination, source) and ingress.isolating:
            # "... OR if the traffic source is the pod's local node" (types.go)
            reason, ingress = OWN_NODE_INGRESS, Side(Direction.INGRESS)
        for end, direction, other in (
            (source, Direction.EGRESS, ingress.isolating or reason),
            (destination, Direction.INGRESS, egress.isolating),
        ):
            if end.host and (other or self.sides.isolating(end.host, direction)):
                undefined = undefined or f"{end.name} is on its node's network (hostNetwork)"
        denied = Verdict.DENY in {egress.verdict, ingress.verdict}
        verdict = Verdict.DENY if denied else Verdict.ALLOW
        return Decision(verdict, egress, ingress, undefined=undefined, reason=reason)

    def _destination(self, end: End) -> Endpoint | ServiceRef:
        """The destination; a Service also where it is named by its address."""
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


def _no_family(flow: Flow, source: Endpoint, destination: Endpoint) -> str:
    if flow.family is not None:
        lacking = [
            end.name for end in (source, destination) if end.addresses and flow.family not in end.addresses
        ]
        return f"no IPv{flow.family} address: {', '.join(dict.fromkeys(lacking))}"
    return f"{source.name} and {destination.name} have no address family in common"
