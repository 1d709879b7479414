"""All checks in order: the API, then pods and policies, which are removed whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from netprobe.doctor import api_checks, checks, deny_all, kinds, pod_facts, pod_pairs
from netprobe.doctor.checks import Check, CheckStatus, Diagnosis
from netprobe.doctor.pod_pairs import PodPair, PodPath
from netprobe.errors import ClusterError, ForbiddenError, NetprobeError, WorkbenchError
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.model.policy import Direction
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.probe.api import ClusterAPI
from netprobe.probe.bench import Deadlines, new_run
from netprobe.probe.nodes import chosen
from netprobe.probe.pace import Pace
from netprobe.probe.permission import Need
from netprobe.probe.plan import Station
from netprobe.probe.run_objects import PodOptions
from netprobe.probe.session import Sessions
from netprobe.probe.workbench import Workbench

if TYPE_CHECKING:
    from netprobe.kube.facts import ClusterFacts

HOST_POD_S = 20.0


@dataclass(slots=True)
class Examination:
    """One examination. `most_nodes`: try at most this many nodes, 0 for all of them.

    `within_s`: how long the cluster may take to enforce a policy. `other_policies`: phrases about policies of
    other kinds, as from `kube.facts`; None: not known.
    """

    cluster: ClusterAPI
    facts: ClusterFacts
    server: str
    other_policies: Sequence[str] = ()
    lab: bool = False
    options: PodOptions = field(default_factory=PodOptions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    most_nodes: int = 3
    within_s: float = 10.0
    progress: Callable[[str], None] = lambda _: None
    run: str = field(default_factory=new_run)
    _checks: list[Check] = field(default_factory=list)
    _served: dict[str, str] = field(default_factory=dict)

    async def diagnose(self) -> Diagnosis:
        """Find out everything that can be; ClusterError only if the API does not answer at all."""
        self.progress("asking the API server")
        user = await api_checks.user(self.cluster)
        self._checks = [api_checks.api(self.facts, self.server)]
        permission_checks, lacking = await api_checks.permissions(self.cluster, user)
        self._checks += permission_checks
        check, nodes = await api_checks.nodes(
            self.cluster, wait_s=self.deadlines.ready_s, progress=self.progress
        )
        self._served = await kinds.served(self.cluster)
        self._checks += [check, api_checks.plugin(self.facts), kinds.check(self._served)]
        self._checks.append(api_checks.other_policies(self.other_policies))
        if any(permission.need is not Need.OPTIONAL for permission in lacking):
            self._checks.append(_not_tried("the permissions to create pods and policies are missing"))
        else:
            await self._try(None if nodes is None else chosen(nodes, self.most_nodes))
        return Diagnosis(self.server, tuple(self._checks), user, lacking)

    async def _try(self, nodes: Sequence[str] | None) -> None:
        if nodes is not None and not nodes:
            self._checks.append(_not_tried("no node is ready for Linux pods"))
            return
        bench = Workbench(
            self.cluster,
            pod_pairs.fixture(nodes, self.run),
            run=self.run,
            changes=0,
            lab=self.lab,
            options=self.options,
            deadlines=self.deadlines,
            progress=self.progress,
        )
        begun = asyncio.get_running_loop().time()
        sessions = Sessions(self.cluster, Pace())
        entered = False
        try:
            async with bench:
                entered = True
                made = pod_pairs.pairs(bench.stations)
                took_s = asyncio.get_running_loop().time() - begun
                where = listed(sorted({pair.server.node or "?" for pair in made}))
                evidence = (
                    f"{self.options.image} runs on {where}; {2 * len(made)} pods ready in {took_s:.1f} s"
                )
                self._checks.append(Check("probe pods", CheckStatus.OK, evidence))
                try:
                    await self._inside(bench, made, sessions)
                finally:
                    await sessions.close()
        except WorkbenchError as e:
            self._checks.append(Check("probe pods", CheckStatus.UNKNOWN, str(e), _hint(str(e))))
        except ClusterError as e:
            name = "probe pods" if not entered else "the rest"
            self._checks.append(Check(name, CheckStatus.UNKNOWN, str(e), _hint(str(e))))

    async def _inside(self, bench: Workbench, made: Sequence[PodPair], sessions: Sessions) -> None:
        clients = [pair.client for pair in made]
        servers = [pair.server for pair in made]
        wanted = pod_pairs.paths(clients, servers)
        self.progress("trying paths without a policy")
        before = await deny_all.baseline(sessions, wanted)
        names = await pod_facts.resolve(sessions, clients)
        looks = await asyncio.gather(*(pod_facts.read_pod(self.cluster, client) for client in clients))
        seen = dict(zip(clients, looks, strict=True))
        lost = [path for path, answer in before.items() if answer.outcome is not Outcome.CONNECTED]
        own = await kinds.OwnPolicies.read(self.cluster, self.run, self._served)
        closed = own.deciding(lost, Verdict.DENY)
        own = replace(own, closing=checks.deciding(closed))
        before = {path: answer for path, answer in before.items() if path not in closed}
        self._checks += kinds.closed_paths(closed, len(before))
        self._checks += [
            *checks.networks(before, closed),
            checks.dns(names, closed),
            checks.families(made),
        ]
        host, failure = await self._host(bench, made)
        from_host = pod_pairs.paths([host], servers) if host is not None else ()
        alone = await deny_all.baseline(sessions, from_host)
        proven = [path for path, answer in before.items() if answer.outcome is Outcome.CONNECTED]
        experiment = deny_all.DenyAllTest(bench, sessions, made, proven, self.within_s)
        results = {}
        for direction in Direction:
            self.progress(f"waiting for a deny-all for {direction.value} to act")
            policy = pod_pairs.deny_all_policy(self.run, direction)
            observe = from_host if direction is Direction.INGRESS else ()
            results[direction], check = await _deny_all(experiment, own, policy, direction, observe=observe)
            self._checks.append(check)
        await self._other_kinds(experiment, own)
        ingress = results[Direction.INGRESS]
        self._checks.append(checks.host_network(ingress, failure, alone))
        self._checks += [checks.sctp(seen), checks.clocks(experiment.server_clock, seen)]

    async def _other_kinds(self, experiment: deny_all.DenyAllTest, own: kinds.OwnPolicies) -> None:
        """Try a deny-all of each kind that can deny and that the cluster serves."""
        for kind in [kind for kind in kinds.DENYING if kind in self._served]:
            self.progress(f"waiting for a deny-all of the kind {kind} to act")
            policy = kinds.deny_all(kind, self._served[kind], self.run)
            try:
                _, found = await _deny_all(experiment, own, policy, Direction.INGRESS, kind=kind)
            except ForbiddenError as e:
                self._checks.append(Check(kind, CheckStatus.NOTE, f"enforcement not tried: {e}"))
            else:
                if found.status is CheckStatus.FAILED:  # a kind that nobody uses may be there unenforced
                    found = replace(
                        found, status=CheckStatus.NOTE, hint="policies of this kind are not safe here"
                    )
                self._checks.append(found)

    async def _host(self, bench: Workbench, made: Sequence[PodPair]) -> tuple[Station | None, str | None]:
        """A pod with hostNetwork on the node of the first server, or why there is none."""
        self.progress("starting a pod with hostNetwork")
        try:
            async with asyncio.timeout(HOST_POD_S):
                node = made[0].server.node
                return await pod_pairs.start_host_pod(bench, node, self.options), None
        except TimeoutError:
            return None, f"the pod did not run within {HOST_POD_S:g} s"
        except NetprobeError as e:
            return None, str(e)


async def _deny_all(
    experiment: deny_all.DenyAllTest,
    own: kinds.OwnPolicies,
    policy: Object,
    direction: Direction,
    *,
    observe: Sequence[PodPath] = (),
    kind: str = "",
) -> tuple[deny_all.DenyAllResult, Check]:
    """Try a deny-all on the paths that it would deny next to the cluster's own policies."""
    settled = own.deciding(experiment.proven, Verdict.ALLOW, policy)
    proven = [path for path in experiment.proven if path not in settled]
    result = deny_all.DenyAllResult(direction, {})
    if proven or not settled:
        test = replace(experiment, proven=proven)
        result = await test.run(direction, policy, observe)
        experiment.server_clock = test.server_clock
    check = checks.enforcement(result, kind, own.closing)
    return result, kinds.judged(check, result.tried, settled, own.doubtful(result.open, policy))


def _not_tried(why: str) -> Check:
    return Check("enforcement", CheckStatus.UNKNOWN, f"not tried: {why}")


def _hint(status: str) -> str | None:
    """What to do about pods that do not start, by their status."""
    for words, hint in _HINTS:
        if any(word in status for word in words):
            return hint
    return None


_HINTS = (
    (
        ("ImagePull", "ErrImage", "InvalidImageName"),
        "--image names one that the nodes can pull; without internet: docs/cluster.md, Images",
    ),
    (
        ("exceeded quota", "LimitRange", "quota"),
        "the cluster puts a quota on new namespaces: ask for a larger one",
    ),
    (("Insufficient", "unschedulable"), "no node has room for 10m of CPU and 16 MiB"),
    (("is not all removed",), "netprobe clean, with the same cluster options, removes the rest"),
)
