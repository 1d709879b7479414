"""Where each row of an in-place run connects to, what proves that its packets could get there, and checks of
what was observed: real pods may be slow, stop listening, or be replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from netprobe.model.flow import Address, End, External, Flow, Pod, PodRef, Protocol, ServiceRef, Via
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.probe import Observed, Pace, Prober
from netprobe.probe.guest_workbench import GuestWorkbench
from netprobe.probe.netcat import Target
from netprobe.probe.plan import Station, Try, Unplaced
from netprobe.probe.surroundings import PodState
from netprobe.run.in_place_plan import InPlacePlan
from netprobe.simulate import Simulator
from netprobe.simulate.vocabulary import Vocabulary

OUTSIDE = "connections from outside the cluster are simulated only"
ADDRESS_SEEN = (
    "an ipBlock distinguishes the addresses of shadow pod and real pod, so the shadow cannot represent it"
)
NAMED = "its name may resolve to IPv4 or to IPv6: use its address instead"
ITSELF = "a flow of a pod to itself cannot be probed from another pod"
_SILENT = "; a server that ignores the probe (a DNS server, say) looks the same"
_OUTSIDE = "; a pod that no policy selects gets no connection to it either"
_WHAT_PROVES = "; a passing TCP readiness probe on that port would prove it, or a flow that may reach it"


class Route:
    """Where each row of an in-place run connects to, from its shadow pod, and what proves its path.

    `closed_by`: the policies that close the pairs of pods that would prove paths.
    """

    def __init__(self, here: InPlacePlan, bench: GuestWorkbench, *, closed_by: str | None = None) -> None:
        self.closed_by = closed_by
        self._here = here
        self._bench = bench
        self._strange = frozenset(self._told_apart())

    def locate(self, flow: Flow) -> str | Unplaced:
        """The host that a row connects to, or why it is not probed."""
        if prevented := self._prevented(flow):
            return Unplaced(prevented)
        source = self._bench.stations[flow.source]
        match flow.destination:
            case External(address):
                return str(address)
            case PodRef():
                pod = self._here.cluster.pods[flow.destination]
                return _address(pod.addresses or pod.node_addresses, flow, source)
            case ServiceRef():
                return self._service(flow, flow.destination, source)

    def _prevented(self, flow: Flow) -> str | None:
        """Why a row cannot be probed, whatever its destination's address."""
        if not isinstance(flow.source, PodRef):
            return OUTSIDE
        if flow.source in self._here.sourceless:
            return self._here.sourceless[flow.source]
        if flow.source == self._pod_at(flow.destination):
            return ITSELF
        return ADDRESS_SEEN if flow in self._strange else None

    def _pod_at(self, end: End) -> End:
        """The pod that has an address, for an end that is one: policies see the pod."""
        pod = self._here.simulator.endpoint(end).pod if isinstance(end, External) else None
        return pod.ref if pod is not None else end

    def _service(self, flow: Flow, ref: ServiceRef, source: Station) -> str | Unplaced:
        if flow.via is Via.DNS:
            if flow.family and len(self._here.simulator.families(flow.source, ref)) > 1:
                return Unplaced(NAMED)
            return f"{ref.name}.{ref.namespace}.svc"
        if flow.via is Via.NODE_PORT:
            return self._node_address(flow, source)
        addresses = self._here.cluster.services[ref].addresses
        if not addresses:
            return Unplaced(f"{ref} has no address of its own: use --via dns")
        return _address(addresses, flow, source)

    def _node_address(self, flow: Flow, source: Station) -> str | Unplaced:
        for ref, _ in self._here.backends(flow):
            pod = self._here.cluster.pods[ref]
            if pod.node_addresses:
                return _address(pod.node_addresses, flow, source)
        return Unplaced(f"no address is known for a node of {flow.destination}")

    def pairs(self, flow: Flow) -> tuple[Try, ...]:
        """The tries of policy-free pods that prove the way to every pod that the row ends at."""
        station = self._bench.stations.get(flow.source)
        host = self.locate(flow)
        if station is None or station.node is None or isinstance(host, Unplaced):
            return ()
        target = Target(host, flow.port, flow.protocol)
        if isinstance(flow.destination, External) or flow.via in {Via.NODE_PORT, Via.HOST}:
            # Not over the pod network: only the same target, tried without policies, proves the path.
            return self._bench.control_try(station.node, target)
        found: list[Try] = []
        for ref, _ in self._here.backends(flow):
            node = self._here.cluster.pods[ref].node
            pair = self._bench.control_pair(station.node, node, target) if node else ()
            if not pair:
                return ()
            found += pair
        return tuple(dict.fromkeys(found))

    def explained(self, flow: Flow, reason: str) -> str:
        """A reason for UNKNOWN with what would prove it."""
        if reason.startswith("listener:"):
            if isinstance(flow.destination, External):
                return reason + _OUTSIDE
            if flow.protocol is not Protocol.TCP:
                return reason + _SILENT
            return reason + (self._here.other_family(flow) or _WHAT_PROVES)
        if reason.startswith("path:"):
            nodes = {self._here.cluster.pods[ref].node for ref, _ in self._here.backends(flow)}
            source = self._bench.stations[flow.source].node
            where = f" between {source} and {', '.join(sorted(filter(None, nodes)))}" if nodes else ""
            if self.closed_by:
                return f"{reason}; {self.closed_by} closes every pair of pods{where} that would prove it"
            return f"{reason}; the policy-free pair{where} does not connect either"
        return reason

    def _told_apart(self) -> Iterator[Flow]:
        """Rows that the policies decide differently for the shadow pod, because of its address."""
        here = self._here
        if not any(Vocabulary(here.cluster).blocks.values()):
            return
        pods = dict(here.cluster.pods)
        shadow_of: dict[PodRef, PodRef] = {}
        for shadow in here.guests.shadows:
            station = self._bench.stations[shadow.stands_for[0]]
            pods[shadow.ref] = Pod(
                shadow.ref,
                shadow.labels,
                station.addresses,
                node=station.node,
                ready=False,
                service_account=shadow.account,
            )
            shadow_of |= dict.fromkeys(shadow.stands_for, shadow.ref)
        simulator = Simulator(replace(here.cluster, pods=pods), here.simulator.profile)
        for flow, decision in here.simulated.items():
            if isinstance(flow.source, PodRef) and flow.source in shadow_of:
                stand_in = simulator.decide(replace(flow, source=shadow_of[flow.source]))
                if stand_in.verdict is not decision.verdict:
                    yield flow


def _address(addresses: Iterable[Address], flow: Flow, source: Station) -> str | Unplaced:
    own = {address.version for address in source.addresses}
    families = {flow.family} if flow.family else own or {4, 6}
    for address in addresses:
        if address.version in families:
            return str(address)
    return Unplaced(f"{flow.destination} has no address that {flow.source} could reach")


PATIENCE = 3
"""Further rounds in which a denial must hold, because a real server may be busy."""


async def recheck_denied(prober: Prober, seen: Observed, pace: Pace) -> Observed:
    """Try all denied flows again. A flow that connects now is allowed: the server was only slow.

    A connection proves that a flow is allowed; a denial is concluded from silence. All denied flows are tried
    again, whatever verdict the policies give. The report names the flows that changed.
    """
    cells = dict(seen.matrix)
    changed: dict[Flow, None] = {}
    for _ in range(PATIENCE):
        denied = [flow for flow, cell in cells.items() if cell.verdict is Verdict.DENY]
        if not denied:
            break
        await asyncio.sleep(pace.wait_s / 2)
        for flow, again in (await prober.round(denied)).items():
            before = cells[flow]
            if again.verdict is not Verdict.DENY:
                changed[flow] = None
            flaky = before.flaky or flow in changed
            cells[flow] = replace(again, attempts=before.attempts + 1, flaky=flaky)
    slow = [flow for flow in changed if cells[flow].verdict is Verdict.ALLOW]
    problems = (*seen.facts.problems, *([_slow(slow)] if slow else []))
    return replace(seen, matrix=Matrix(cells), facts=replace(seen.facts, problems=problems))


def _slow(slow: Sequence[Flow]) -> str:
    flows = "1 flow" if len(slow) == 1 else f"{len(slow)} flows"
    return (
        f"{flows} connected only after two rounds in which nothing came back ({listed(slow, 5)}): "
        "packets are lost, or a machine is too busy; a longer --probe-timeout may help"
    )


def with_pod_changes(
    seen: Matrix[Observation], here: InPlacePlan, route: Route, now: Mapping[PodRef, PodState]
) -> Matrix[Observation]:
    """The observations: UNKNOWN if the real pod has changed, with a hint at what would prove a denial."""

    def judged(flow: Flow, cell: Observation) -> Observation:
        gone = moved(here, now, flow)
        if gone is not None and cell.attempts:
            return replace(cell, verdict=Verdict.UNKNOWN, reason=f"gone: {gone}")
        if cell.verdict is Verdict.DENY and (weak := unready(here, now, flow)):
            return replace(cell, verdict=Verdict.UNKNOWN, reason=f"listener: {weak}")
        if cell.verdict is Verdict.UNKNOWN and cell.reason:
            return replace(cell, reason=route.explained(flow, cell.reason))
        return cell

    return seen.map(judged)


def moved(here: InPlacePlan, now: Mapping[PodRef, PodState], flow: Flow) -> str | None:
    """Why a row may be about another pod than at the start; None if no pod moved."""
    for ref, _ in here.backends(flow):
        before, after = here.states.get(ref), now.get(ref)
        if before is not None and (
            after is None or after.uid != before.uid or after.addresses != before.addresses
        ):
            return f"{ref} was replaced or moved during the run"
    return None


def unready(here: InPlacePlan, now: Mapping[PodRef, PodState], flow: Flow) -> str | None:
    """Why silence may be the real pod's own; None if it was ready all the time, or never."""
    for ref, port in here.backends(flow):
        before, after = here.states.get(ref), now.get(ref)
        if before is None or after is None:
            continue
        if after.since != before.since or (port in before.proven and port not in after.proven):
            return f"{ref} was not ready all the time"
    return None
