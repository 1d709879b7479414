"""All checks in order: the API, then pods and policies, which are removed whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from netprobe.doctor import checks, deny_all, kinds, pods
from netprobe.doctor.checks import Check, CheckStatus, Diagnosis
from netprobe.doctor.pods import PodPair, PodPath
from netprobe.errors import ClusterError, ForbiddenError, NetprobeError, WorkbenchError
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.model.policy import Direction
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.policies.kinds import SIMULATED
from netprobe.probe import permission
from netprobe.probe.api import ClusterAPI
from netprobe.probe.bench import Deadlines, new_run
from netprobe.probe.deciding import served
from netprobe.probe.nodes import NodeStatus, chosen
from netprobe.probe.nodes import nodes as list_nodes
from netprobe.probe.pace import Pace
from netprobe.probe.permission import FIXTURE, IN_PLACE, Need, Permission
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
        """Run all checks that are possible; ClusterError only if the API does not answer at all."""
        self.progress("asking the API server")
        user = await _user(self.cluster)
        self._checks = [_api_check(self.facts, self.server)]
        permission_checks, lacking = await _permission_checks(self.cluster, user)
        self._checks += permission_checks
        check, nodes = await _node_check(self.cluster, wait_s=self.deadlines.ready_s, progress=self.progress)
        self._served = await served(self.cluster, (kind.key for kind in SIMULATED))
        self._checks += [check, _plugin_check(self.facts), kinds.check(self._served)]
        self._checks.append(_other_policies_check(self.other_policies))
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
            pods.fixture(nodes, self.run),
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
                made = pods.pairs(bench.stations)
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
        wanted = pods.paths(clients, servers)
        self.progress("trying paths without a policy")
        before = await deny_all.baseline(sessions, wanted)
        names = await pods.resolve(sessions, clients)
        looks = await asyncio.gather(*(pods.read_pod(self.cluster, client) for client in clients))
        seen = dict(zip(clients, looks, strict=True))
        lost = [path for path, answer in before.items() if answer.outcome is not Outcome.CONNECTED]
        own = await kinds.OwnPolicies.read(self.cluster, self.run, self._served)
        closed = own.deciding(lost, Verdict.DENY)
        own = replace(own, closing=checks.deciding(closed))
        before = {path: answer for path, answer in before.items() if path not in closed}
        self._checks += kinds.closed_paths(closed, len(before))
        self._checks += [*checks.networks(before, closed), checks.dns(names, closed), checks.families(made)]
        host, failure = await self._host(bench, made)
        from_host = pods.paths([host], servers) if host is not None else ()
        alone = await deny_all.baseline(sessions, from_host)
        proven = [path for path, answer in before.items() if answer.outcome is Outcome.CONNECTED]
        experiment = deny_all.DenyAllTest(bench, sessions, made, proven, self.within_s)
        results = {}
        for direction in Direction:
            self.progress(f"waiting for a deny-all for {direction.value} to act")
            policy = pods.deny_all_policy(self.run, direction)
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
                return await pods.start_host_pod(bench, node, self.options), None
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


def _api_check(facts: ClusterFacts, server: str) -> Check:
    return Check("API server", CheckStatus.OK, f"{facts.server_version} at {server}")


def _plugin_check(facts: ClusterFacts) -> Check:
    if facts.cni is None:
        return Check("network plugin", CheckStatus.NOTE, f"not recognised: {facts.evidence}")
    return Check("network plugin", CheckStatus.OK, f"{facts.cni}, from {facts.evidence}")


def _other_policies_check(found: Sequence[str]) -> Check:
    """Policies of kinds that are not simulated."""
    name = "other policies"
    if not found:
        return Check(name, CheckStatus.OK, "no policies of kinds that netprobe does not simulate")
    return Check(name, CheckStatus.NOTE, f"{'; '.join(found)}: they decide flows too, and are not simulated")


async def _user(cluster: ClusterAPI) -> str | None:
    """The user of the credentials; None if the server does not say (before Kubernetes 1.28)."""
    question: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    try:
        answer = await cluster.create(question)
    except ClusterError:
        return None
    name = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    return str(name) if name else None


async def _permission_checks(
    cluster: ClusterAPI, who: str | None
) -> tuple[list[Check], tuple[Permission, ...]]:
    """A check for runs in their own namespaces, one for runs in place; and what the first kind lacks."""
    name = who or "these credentials"
    wanted = [p for p in FIXTURE if p.need is not Need.OPTIONAL]
    try:
        none = set(await permission.missing(cluster, dict.fromkeys([*FIXTURE, *IN_PLACE])))
    except ClusterError as e:
        hint = "a run tries anyway, and stops at the first verb that is refused"
        return [Check("permissions", CheckStatus.UNKNOWN, f"the server does not say: {e}", hint)], ()
    lacking = tuple(p for p in FIXTURE if p in none)
    needed = [p for p in lacking if p.need is not Need.OPTIONAL]
    optional = [p for p in lacking if p.need is Need.OPTIONAL]
    if needed:
        first = Check(
            "permissions",
            CheckStatus.UNKNOWN,
            f"{name} lacks {_listed(needed)}",
            "ask for the ClusterRole below (-o rbac prints only that), or use another --context",
        )
    elif optional:
        missing = "; ".join(f"{p} ({p.why})" for p in optional)
        first = Check(
            "permissions",
            CheckStatus.NOTE,
            f"{name} has all that a run needs; not required, but missing: {missing}",
        )
    else:
        first = Check("permissions", CheckStatus.OK, f"{name} has all {len(wanted)} that a run needs")
    second = Check(
        "permissions in place", CheckStatus.OK, "also sufficient for runs next to the workloads of others"
    )
    if short := [p for p in IN_PLACE if p in none and p.need is not Need.OPTIONAL]:
        second = Check(
            "permissions in place",
            CheckStatus.NOTE,
            f"not sufficient for runs next to the workloads of others: lacks {_listed(short)}",
            "needed for that only: manifests/rbac/in-place.yaml",
        )
    return [first, second], lacking


async def _node_check(
    cluster: ClusterAPI, *, wait_s: float = 0.0, progress: Callable[[str], None] = lambda _: None
) -> tuple[Check, tuple[NodeStatus, ...] | None]:
    """The nodes, sorted by name, once those that are starting are usable; None if they cannot be listed."""
    try:
        found = await list_nodes(cluster, wait_s=wait_s, progress=progress)
    except ClusterError as e:
        hint = "the scheduler chooses the nodes of the pods, and nodes are not compared"
        return Check("nodes", CheckStatus.NOTE, str(e), hint), None
    unready = [n.name for n in found if not n.ready]
    count = "1 node" if len(found) == 1 else f"{len(found)} nodes"
    kubelets = ", ".join(sorted({n.kubelet for n in found if n.kubelet}))
    summary = f"{count}, kubelet {kubelets}" if kubelets else count
    if unready:
        hint = "a node stays NotReady until its network plugin runs: kubectl describe node"
        status = CheckStatus.NOTE if len(unready) < len(found) else CheckStatus.FAILED
        return Check("nodes", status, f"{summary}; not ready: {listed(unready)}", hint), found
    return Check("nodes", CheckStatus.OK, f"{summary}, all ready"), found


def _listed(lacking: Sequence[Permission]) -> str:
    return "; ".join(map(str, lacking))
