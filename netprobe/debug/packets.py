"""What is sent: from the source's shadow and from policy-free pods, each with what the policies say about it.

Rounds are repeated for some seconds while the network does other than the policies say: an enforcement that
lags ends by itself. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from netprobe.debug.evidence import Evidence
from netprobe.debug.guests import guest_ref
from netprobe.debug.records import LOST, Aim, Leg, NodeEnforcement, Sender, Try
from netprobe.errors import UsageError
from netprobe.model.flow import End, Family, Flow, PodRef, ServiceRef, Via
from netprobe.model.observation import Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe import canary
from netprobe.probe.canary import Canaries, CanaryWatch
from netprobe.probe.guest_workbench import SERVED, GuestWorkbench
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Station
from netprobe.probe.session import Sessions
from netprobe.simulate import Simulator

PATIENCE_S: Final = 4.0
"""How long rounds are repeated while packets are not treated as the policies say."""

NAME_S: Final = 6.0
"""How long a name may take to resolve; resolvers wait five seconds for a server that does not answer."""

SILENT: Final = f"no answer of the DNS server within {NAME_S:g} s"
NAME: Final = Target("kubernetes.default.svc", 443)
"""A name that every cluster's DNS knows."""

PAUSE_S: Final = 0.3
THROUGH_SERVICE: Final = 8
"""Connections through a Service: each may end at another backend."""

MOST_PORTS: Final = 4


@dataclass(slots=True)
class Sent:
    """A try, the station that makes it, and how many times at once."""

    what: Try
    station: Station
    times: int = 1

    @property
    def target(self) -> Target:
        return Target(self.what.host, self.what.flow.port, self.what.flow.protocol)

    @property
    def surprising(self) -> bool:
        """Whether the network did other than the policies say."""
        denied = self.what.expected is Verdict.DENY
        return self.what.connected if denied else self.what.outcome in LOST


@dataclass(frozen=True, slots=True)
class Experiment:
    """Tries what helps to tell the causes apart.

    `source` is where the source's packets come from, None if nothing can be sent as it; `bench` has the
    policy-free pods, None if none could be made. `simulator` knows the pods of the run.
    """

    evidence: Evidence
    simulator: Simulator
    source: Station | None
    sessions: Mapping[Sender, Sessions]
    bench: GuestWorkbench | None
    pace: Pace

    async def run(self) -> tuple[tuple[Try, ...], tuple[NodeEnforcement, ...], float | None]:
        """The tries, the canaries, and the lag, as in Packets."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        watching = asyncio.create_task(self._watch_canaries(), name="canaries")
        naming = asyncio.create_task(self._resolve(), name="names")
        through = asyncio.create_task(self._all(list(self._service())), name="Service")
        try:
            sent = [*self._legs(), *self._controls()]
            rounds, lag_s = 0, None
            while True:
                sent, rounds = await self._all(sent), rounds + 1
                if not any(one.surprising for one in sent if one.what.aim is Aim.LEG):
                    lag_s = loop.time() - begun if rounds > 1 else None
                    break
                if loop.time() - begun > PATIENCE_S:
                    break
                await asyncio.sleep(PAUSE_S)
            services = await through if rounds == 1 else await self._all(self._service())
            sent += [*await self._all(self._other_ports(sent)), *services, *await naming]
            return tuple(one.what for one in sent), await watching, lag_s
        finally:
            for task in (watching, naming, through):
                task.cancel()
            await asyncio.gather(watching, naming, through, return_exceptions=True)

    # What is tried

    def _legs(self) -> Iterator[Sent]:
        for leg in self.evidence.legs:
            if leg.address is not None:
                for sender, station in self._senders(leg):
                    yield self._sent(sender, station, Aim.LEG, leg.flow, str(leg.address), node=leg.node)

    def _controls(self) -> Iterator[Sent]:
        """Policy-free servers on the nodes of the legs: from the source, and from policy-free pods.

        Those are on the source's node, and then on the server's own.
        """
        for node, server in self.bench.servers.items() if self.bench else ():
            leg = next((leg for leg in self.evidence.legs if leg.node == node), None)
            near = self.bench.clients.get(node) if self.bench else None
            senders = [*self._senders(leg)] if leg else []
            if near is not None and all(near is not station for _, station in senders):
                senders.append((Sender.FREE, near))
            for sender, station in senders:
                families = {address.version for address in station.addresses}
                host = next((one for one in server.addresses if one.version in families), None)
                if host is not None:
                    flow = self._flow(guest_ref(server), SERVED[0].number, host.version)
                    yield self._sent(sender, station, Aim.CONTROL, flow, str(host), node=node)

    def _service(self) -> Iterator[Sent]:
        """The addresses of the Service, several times: each connection may end at another backend."""
        service = self.evidence.service
        if service is None or service.target is None or self.source is None or not service.ready:
            return
        for address in self.simulator.cluster.services[service.ref].addresses:
            if address.version in {own.version for own in self.source.addresses}:
                flow = self._flow(service.ref, service.port, address.version)
                one = self._sent(Sender.SOURCE, self.source, Aim.SERVICE, flow, str(address))
                one.times = THROUGH_SERVICE if len(self.evidence.legs) > 1 else 2
                yield one

    def _names(self) -> Iterator[Sent]:
        """The name in the source; and one that every cluster has, in the source and in a policy-free pod."""
        name, question = self.evidence.name, self.evidence.question
        if name is None:
            return
        for sender, station in self._senders(self.evidence.dns):
            yield _named(Aim.DNS, sender, station, NAME)
        if self.source is not None:
            with suppress(ValueError):  # no name that nc would take
                yield _named(Aim.NAME, Sender.SOURCE, self.source, Target(name.text, question.port))

    def _other_ports(self, sent: Sequence[Sent]) -> Iterator[Sent]:
        """Ports that a pod may serve in place of the one that it refuses."""
        wanted = [self.evidence.question.port, *(leg.flow.port for leg in self.evidence.legs)]
        for one in sent:
            what, flow = one.what, one.what.flow
            end = flow.destination
            if what.aim is not Aim.LEG or not what.refused or not isinstance(end, PodRef):
                continue
            declared = self.simulator.cluster.pods[end].ports
            numbers = [port.number for port in declared if port.protocol is flow.protocol]
            ports = [port for port in dict.fromkeys([*numbers, *wanted]) if port != flow.port]
            for port in ports[:MOST_PORTS]:
                other = replace(flow, port=port)
                yield self._sent(
                    what.sender, one.station, Aim.OTHER_PORT, other, what.host, node=what.to_node
                )

    def _flow(self, to: End, port: int, family: Family) -> Flow:
        """A flow to an end of the run, with the protocol of the question; its source does not matter."""
        via = Via.SERVICE if isinstance(to, ServiceRef) else Via.POD
        return Flow(to, to, port, self.evidence.question.protocol, family, via)

    def _senders(self, leg: Leg | None) -> Iterator[tuple[Sender, Station]]:
        if self.source is not None:
            yield Sender.SOURCE, self.source
        if (client := self._client(leg)) is not None:
            yield Sender.FREE, client

    def _client(self, leg: Leg | None) -> Station | None:
        """A policy-free pod on the source's node, or where there is one."""
        if self.bench is None:
            return None
        clients = self.bench.clients
        source = self.evidence.source.pod
        near = (node for node in (source and source.node, leg and leg.node) if node in clients)
        return clients.get(next(near, "") or "") or next(iter(clients.values()), None)

    def _sent(
        self,
        sender: Sender,
        station: Station,
        aim: Aim,
        flow: Flow,
        host: str,
        *,
        node: str | None = None,
    ) -> Sent:
        """A try of a flow from a station, which replaces its source; `host` is on `node`."""
        flow = replace(flow, source=guest_ref(station))
        try:
            expected = self.simulator.decide(flow).verdict
        except UsageError:
            expected = Verdict.UNKNOWN
        return Sent(Try(sender, aim, station.node, flow, host, node, expected), station)

    # Sending it

    async def _resolve(self) -> list[Sent]:
        """Look the names up; once more if that fails unexpectedly: a query may be lost."""
        sent = await self._all(self._names(), NAME_S)
        dns, name = self.evidence.dns, self.evidence.name
        denied = dns is not None and dns.denied
        unknown = name is not None and name.in_cluster and name.service is None
        again = any(
            not one.what.resolved
            and not (denied and one.what.sender is Sender.SOURCE)
            and not (unknown and one.what.aim is Aim.NAME)
            for one in sent
        )
        return await self._all(sent, NAME_S) if again else sent

    async def _all(self, sent: Iterable[Sent], most_s: float | None = None) -> list[Sent]:
        """Try everything once at the same time; each with one more outcome."""
        work = list(sent)
        answers = await asyncio.gather(*(self._one(one, most_s) for one in work))
        return [replace(one, what=_with(one.what, got)) for one, got in zip(work, answers, strict=True)]

    async def _one(self, one: Sent, most_s: float | None) -> list[Answer]:
        sessions = self.sessions[one.what.sender]
        try:
            async with asyncio.timeout(most_s or self.pace.quiet_s):
                tries = (sessions.try_once(one.station, one.target) for _ in range(one.times))
                return list(await asyncio.gather(*tries))
        except TimeoutError:
            if one.what.aim in {Aim.NAME, Aim.DNS}:
                return [Answer(Outcome.SKIPPED, None, SILENT)]
            return [Answer(Outcome.EXEC_FAILED, None, "the pod does not answer")]

    async def _watch_canaries(self) -> tuple[NodeEnforcement, ...]:
        """On each node: whether one of the run's own policies is in force."""
        canaries: Canaries | None = self.bench.canaries if self.bench else None
        if self.bench is None or canaries is None:
            return ()
        sessions = canary.sessions(self.sessions[Sender.FREE].cluster, self.pace)
        now = asyncio.get_running_loop().time
        begun = now()

        async def watch(pair: canary.Canary) -> NodeEnforcement:
            deadline_s = PATIENCE_S + 2 * self.pace.wait_s
            seen = await CanaryWatch(pair, sessions).closed(1, deadline_s, held=True)
            return NodeEnforcement(pair.node, seen.enforcing, now() - begun)

        try:
            return tuple(await asyncio.gather(*map(watch, canaries.pairs)))
        finally:
            await sessions.close()


def _named(aim: Aim, sender: Sender, station: Station, target: Target) -> Sent:
    """A try by name: what counts is whether it resolves."""
    ref = guest_ref(station)
    flow = Flow(ref, ref, target.port, target.protocol)
    return Sent(Try(sender, aim, station.node, flow, target.host, None, Verdict.UNKNOWN), station)


def _with(what: Try, answers: Sequence[Answer]) -> Try:
    last = answers[-1]
    return replace(
        what,
        outcomes=(*what.outcomes, *(answer.outcome for answer in answers)),
        latency_ms=next((answer.latency_ms for answer in answers if answer.latency_ms is not None), None),
        text=last.text,
    )


def resolved(text: str) -> str | None:
    """The address that nc printed with the name that it looked up; None if it printed none."""
    for found in re.findall(r"\[?([0-9a-fA-F.:]{3,})\]?", text):
        candidate = found.rsplit(":", 1)[0] if found.count(":") == 1 else found
        for each in (found, candidate):
            try:
                return str(ip_address(each.strip("[]")))
            except ValueError:
                continue
    return None
