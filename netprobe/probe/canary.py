"""Canaries: pods that show whether policies are enforced, and when a change has arrived.

On each node a client tries ports of a target. The control port is always open and so proves listener and
path. The other ports are closed by one of the run's own policies. If they stay silent while the control
answers, the cluster enforces policies. With each change of the run one of them is opened,
after everything else: it connects only once the new version of the policy and the new labels have arrived, so
its first connection shows when the change is in force. Opening is watched, not closing, because a connection
has a time and silence has to be waited for.

Two ports take turns, so any number of changes is possible: the policy of a change opens one of them and
closes the other, which the next change opens.

Enforcers read each kind of policy separately, so a NetworkPolicy that has arrived proves nothing for a
ClusterNetworkPolicy. A change to objects of such a kind also applies a policy of that kind, whose subject is
the canaries' namespace, and which opens its own port that the NetworkPolicy keeps closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from netprobe.model.flow import ContainerPort, PodRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.policies.kinds import BY_KEY
from netprobe.probe import run_objects
from netprobe.probe.api import ClusterAPI, Executes
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.pace import CLUSTER, Pace
from netprobe.probe.plan import Station
from netprobe.probe.run_objects import CHANGE, ROLE, RUN, PodOptions
from netprobe.probe.session import Sessions

if TYPE_CHECKING:
    from netprobe.probe.bench import Bench

CONTROL_PORT: Final = 9000
PORTS: Final = tuple(ContainerPort(CONTROL_PORT + number) for number in range(3))
"""What every target serves: the control port and the two that the NetworkPolicy opens in turn."""

TARGET: Final = "canary-target"
CLIENT: Final = "canary-client"
"""The values of the label ROLE."""

SILENT_TRIES: Final = 3
"""A port looks closed when this many tries of the control connected in a row and the port did not."""

PAUSE_S: Final = 0.03
"""Pause after the first try of a canary; the resolution of the convergence time."""

SLOWING: Final = 1.1
"""Each pause between two tries is longer than the last by this factor: a slow machine gets fewer tries."""


def port_of(change: int) -> int:
    """The port that change number `change` opens."""
    return CONTROL_PORT + 1 + change % 2


@dataclass(frozen=True, slots=True)
class Canary:
    """A pair of pods on one node: `client` tries the ports of `target`."""

    client: Station
    target: Station

    @property
    def node(self) -> str:
        return self.target.node or "an unknown node"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Whether the cluster enforces policies, and the evidence. None: unknown."""

    enforcing: bool | None
    evidence: str


NO_CANARY: Final = Enforcement(None, "no canary was created")


def pods(
    namespace: str, run: str, node: str | None, index: int, options: PodOptions, *, kinds: Iterable[str] = ()
) -> tuple[Object, Object]:
    """The target and the client on one node, in a namespace of the run; they tolerate every taint.

    `kinds`: those of OPENING that changes are about.
    """
    pinned = options.on_any_node()

    def pod(role: str, ports: Collection[ContainerPort] = ()) -> Object:
        ref = PodRef(namespace, f"{role}-{index}")
        return run_objects.pod(ref, run, pinned, labels={ROLE: role}, ports=ports, node=node)

    return pod(TARGET, ports(kinds)), pod(CLIENT)


def policy(namespace: str, run: str, change: int, *, pod_labels: bool = False) -> Object:
    """The canaries' policy after change number `change`, 0 before the first.

    It opens what leaves both pods, the control port to everyone, and the port of the change to namespaces
    (with `pod_labels`: pods in namespaces) whose label says that number.
    """
    says = {"matchLabels": {CHANGE: str(change)}}
    peer = {"namespaceSelector": says, **({"podSelector": says} if pod_labels else {})}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "canary", "namespace": namespace, "labels": {RUN: run}},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": ROLE, "operator": "Exists"}]},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [{}],
            "ingress": [
                {"ports": [{"protocol": "TCP", "port": CONTROL_PORT}]},
                {"from": [peer], "ports": [{"protocol": "TCP", "port": port_of(change)}]},
            ],
        },
    }


def _by_cluster_network_policy(namespace: str, run: str, port: int) -> Object:
    rule = {
        "name": "opened-by-the-change",
        "action": "Accept",
        "from": [{"namespaces": {}}],
        "protocols": [{"tcp": {"destinationPort": {"number": port}}}],
    }
    return {"tier": "Admin", "priority": 0, "subject": _subject(namespace, run), "ingress": [rule]}


def _by_admin_network_policy(namespace: str, run: str, port: int) -> Object:
    rule = {
        "name": "opened-by-the-change",
        "action": "Allow",
        "from": [{"namespaces": {}}],
        "ports": [{"portNumber": {"protocol": "TCP", "port": port}}],
    }
    return {"priority": 0, "subject": _subject(namespace, run), "ingress": [rule]}


def _subject(namespace: str, run: str) -> Object:
    return {"namespaces": {"matchLabels": {NAME_LABEL: namespace, RUN: run}}}


def _by_calico(_namespace: str, _run: str, port: int) -> Object:
    rule = {"action": "Allow", "protocol": "TCP", "destination": {"ports": [port]}}
    return {"order": 0, "types": ["Ingress"], "ingress": [rule]}


def _by_global_network_policy(namespace: str, run: str, port: int) -> Object:
    selector = f"({NAME_LABEL} == '{namespace}') && {RUN} == '{run}'"
    return {"namespaceSelector": selector, **_by_calico(namespace, run, port)}


OPENING: Final[Mapping[str, Callable[[str, str, int], Object]]] = {
    "ClusterNetworkPolicy": _by_cluster_network_policy,
    "AdminNetworkPolicy": _by_admin_network_policy,
    "GlobalNetworkPolicy": _by_global_network_policy,
    "NetworkPolicy.projectcalico.org": _by_calico,
}
"""For kinds whose policies come before NetworkPolicies: the spec of one that opens a port of a namespace's
pods.

All of their policies select by the run's label too, so that an account that is limited to objects of the run
may create them.
"""


def ports_of(kind: str) -> tuple[int, int]:
    """The ports that policies of a kind open in turn."""
    first = CONTROL_PORT + len(PORTS) + 2 * list(OPENING).index(kind)
    return first, first + 1


def ports(kinds: Iterable[str] = OPENING) -> tuple[ContainerPort, ...]:
    """What a target serves if changes are about policies of these kinds too."""
    return (*PORTS, *(ContainerPort(port) for kind in kinds for port in ports_of(kind)))


def opening_policy(key: str, namespace: str, run: str, port: int) -> Object:
    """A policy of a kind of OPENING that opens a port of the canaries' targets."""
    kind = BY_KEY[key]
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": f"{namespace}-canary", **({"namespace": namespace} if kind.namespaced else {})},
        "spec": OPENING[key](namespace, run, port),
    }


@dataclass(frozen=True, slots=True)
class Canaries:
    """All canaries of a namespace, and the policies that they share. `bench` is the run's.

    `pod_labels`: a change is seen only once labels of pods have arrived too; needs to patch pods.
    `unable`: why other policies keep them from showing anything; None if they do not.
    """

    cluster: ClusterAPI
    bench: Bench
    run: str
    namespace: str
    pairs: Sequence[Canary]
    pod_labels: bool = False
    unable: str | None = None
    _turns: dict[str, int] = field(default_factory=dict, init=False)  # by kind: which of its ports is open

    async def announce(self, change: int, kinds: Iterable[str] = ()) -> tuple[int, ...]:
        """Make change number `change` (from 1) visible at the canaries. Call it after everything else.

        `kinds`: the kinds of OPENING that the change is about. Returns the ports that are open once all of it
        is in force.
        """
        opened = {}
        for kind in kinds:
            self._turns[kind] = 1 - self._turns.get(kind, 1)
            opened[kind] = ports_of(kind)[self._turns[kind]]
        label: Object = {"metadata": {"labels": {CHANGE: str(change)}}}
        clients = [pair.client.pod for pair in self.pairs if self.pod_labels]
        await asyncio.gather(
            *(
                self.bench.apply(opening_policy(kind, self.namespace, self.run, port))
                for kind, port in opened.items()
            ),
            self.bench.apply(policy(self.namespace, self.run, change, pod_labels=self.pod_labels)),
            self.cluster.patch("Namespace", self.namespace, None, label),
            *(self.cluster.patch("Pod", name, self.namespace, label) for name in clients),
        )
        return port_of(change), *opened.values()


class CanaryWatch:
    """Tries the ports of one canary, in a kept session of its client."""

    def __init__(self, canary: Canary, sessions: Sessions) -> None:
        self.canary = canary
        self._sessions = sessions

    async def closed(self, change: int, deadline_s: float, *, held: bool = False) -> Enforcement:
        """Wait until the port of a change is seen closed while the control answers.

        `held`: also until a try of the port has waited for an answer in vain. On a busy node answers of the
        port may only be late; but this takes as long as a try waits.
        """
        node, port = self.canary.node, port_of(change)
        controls = 0  # that connected since the port last did
        silent, open_, failure = not held, False, "it was not tried"
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s), self._trying([CONTROL_PORT, port]) as answers:
                while controls < SILENT_TRIES or not silent:
                    tried, answer = await answers.get()
                    connected = answer.outcome is Outcome.CONNECTED
                    if connected and tried == port:
                        controls, silent, open_ = 0, not held, True
                    elif connected:
                        controls += 1
                    elif tried == CONTROL_PORT:
                        failure = answer.text or "the control port does not connect"
                    elif answer.outcome is not Outcome.EXEC_FAILED and controls >= SILENT_TRIES:
                        silent = True
                evidence = (
                    f"on {node} one of the run's own policies closes port {port} of a pod, and only that"
                )
                return Enforcement(True, evidence)
        if open_:
            return Enforcement(
                False,
                f"on {node} a pod still accepts connections on port {port} {deadline_s:g} s after a policy "
                "denied them",
            )
        return Enforcement(
            None, f"on {node} the canary cannot be reached even if no policy forbids it: {failure}"
        )

    async def opened(self, ports: Collection[int], deadline_s: float) -> float | None:
        """The loop's time at which each of the ports has connected; None: not by the deadline."""
        missing = set(ports)
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s), self._trying(sorted(missing)) as answers:
                while missing:
                    port, answer = await answers.get()
                    if answer.outcome is Outcome.CONNECTED:
                        missing.discard(port)
                return asyncio.get_running_loop().time()
        return None

    @asynccontextmanager
    async def _trying(self, ports: Sequence[int]) -> AsyncIterator[asyncio.Queue[tuple[int, Answer]]]:
        """Try the ports over and over; tries overlap, since one without an answer takes all of `wait_s`."""
        answers: asyncio.Queue[tuple[int, Answer]] = asyncio.Queue()
        pace, host = self._sessions.pace, str(self.canary.target.addresses[0])
        failing: set[int] = set()

        async def try_port(port: int) -> None:
            answer = await self._sessions.try_once(self.canary.client, Target(host, port))
            failing.clear()
            if answer.outcome is Outcome.EXEC_FAILED:
                failing.add(port)
            answers.put_nowait((port, answer))

        async def keep_trying() -> None:
            pause_s = PAUSE_S
            async with asyncio.TaskGroup() as tries:
                while True:
                    for port in ports:
                        tries.create_task(try_port(port))
                    await asyncio.sleep(max(pause_s, pace.retry_s) if failing else pause_s)
                    pause_s *= SLOWING

        trying = asyncio.create_task(keep_trying(), name=f"canary on {self.canary.node}")
        try:
            yield answers
        finally:
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)


def sessions(cluster: Executes, pace: Pace) -> Sessions:
    """Sessions for canaries: single tries, apart from the rounds of a prober."""
    method = replace(pace.method, second_try=None, bulk=False, starts_per_node=CLUSTER.starts_per_node)
    return Sessions(cluster, replace(pace, wait_s=min(1.0, pace.wait_s), method=method))


def overall(signs: Sequence[Enforcement]) -> Enforcement:
    """One answer for all nodes: one node that does not enforce decides, then one that is unknown."""
    if not signs:
        return NO_CANARY
    for wanted in (False, None):
        found = [sign for sign in signs if sign.enforcing is wanted]
        if found:
            return Enforcement(wanted, "; ".join(sign.evidence for sign in found))
    return Enforcement(True, "; ".join(sign.evidence for sign in signs))
