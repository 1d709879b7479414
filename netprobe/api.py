"""The Python API, as `import netprobe` offers it; docs/python.md has examples.

Everything raises a `NetprobeError` whose text is a sentence for the user: `InputError` with all problems
of a file, `UsageError` for arguments that name nothing, others if a cluster did not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from typing import TypeAlias

from netprobe import simulate
from netprobe.diff import FlowStatus, Row
from netprobe.errors import InputError, NetprobeError, UnknownVerdictError, UsageError
from netprobe.explain import Explanation, explain
from netprobe.manifests import from_objects, load
from netprobe.model.cluster import Cluster as ClusterModel
from netprobe.model.flow import External, Family, Flow, Protocol
from netprobe.model.verdict import Verdict
from netprobe.run.record import ClusterInfo, Report, RunInfo
from netprobe.run.steps import pairs_step, suite_moments, suite_steps
from netprobe.simulate import AllPairs, Profile, Simulator, read_question
from netprobe.suite import Suite
from netprobe.suite import load as load_suite_file

__all__ = [
    "Cluster",
    "Explanation",
    "Flow",
    "FlowStatus",
    "InputError",
    "NetprobeError",
    "Report",
    "Row",
    "Suite",
    "UnknownVerdictError",
    "UsageError",
    "Verdict",
    "load_suite",
    "run_suite",
    "simulate_suite",
]

Path: TypeAlias = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Namespaces, pods, Services and policies, and what they allow.

    `profile` is the CNI whose choices are assumed where the Kubernetes API leaves one: "calico", "cilium",
    "antrea" or "kube-network-policies". `externals` are addresses outside that have a name.

    Ends are written as on the command line: NAMESPACE/POD, NAMESPACE/WORKLOAD, svc:NAMESPACE/SERVICE, or an
    address outside the cluster.
    """

    model: ClusterModel
    profile: Profile = simulate.CALICO
    externals: tuple[External, ...] = ()

    @classmethod
    def read(cls, *paths: Path, profile: str = "calico") -> Cluster:
        """The one cluster that files and folders of manifests describe. InputError with every problem."""
        return cls(load([str(path) for path in paths]).cluster, simulate.profile(profile))

    @classmethod
    def live(
        cls,
        context: str | None = None,
        kubeconfig: Path | None = None,
        *,
        profile: str = "calico",
        request_timeout_s: float = 30.0,
    ) -> Cluster:
        """The cluster of a kubeconfig as it is now; lists objects only. ClusterError if it is silent."""
        import asyncio

        from netprobe.kube import live_objects

        file = None if kubeconfig is None else str(kubeconfig)
        found = asyncio.run(live_objects(file, context, request_timeout_s=request_timeout_s))
        return cls(from_objects(found.objects, found.unreadable), simulate.profile(profile))

    @classmethod
    def of_suite(cls, suite: Suite | Path, *, steps: int = 0, profile: str = "calico") -> Cluster:
        """The topology of a suite with its policies, after that many of its steps."""
        read = _suite(suite)
        return cls(read.cluster(steps=steps), simulate.profile(profile), tuple(read.externals))

    def can(
        self,
        source: str,
        destination: str,
        port: int | str | None = None,
        protocol: str = "TCP",
        *,
        family: Family | None = None,
    ) -> bool:
        """Whether the policies let `source` connect to `destination`.

        `port` is a number or a name; it may be left out if the destination declares only one.
        UnknownVerdictError if the verdict is unknown, if a policy that is not simulated may change it, or if
        the pods of a workload differ.
        """
        simulator = Simulator(self.model, self.profile)
        found: dict[Verdict, Flow] = {}
        reason = None
        for flow in self.flows(source, destination, port, protocol, family=family):
            decision = simulator.decide(flow)
            found.setdefault(decision.verdict, flow)
            reason = reason or decision.reason
            if decision.qualified_by:
                others = ", ".join(f"{one.ref.kind} {one.ref}" for one in decision.qualified_by)
                raise UnknownVerdictError(f"{others} may decide it too, and is not simulated")
        if len(found) == 1 and Verdict.UNKNOWN not in found:
            return Verdict.ALLOW in found
        if Verdict.UNKNOWN in found:
            raise UnknownVerdictError(reason or "the answer differs between address families")
        examples = "; ".join(f"{flow} is {verdict.value}" for verdict, flow in found.items())
        raise UnknownVerdictError(f"it depends on the pod: {examples}")

    def explain(
        self,
        source: str,
        destination: str,
        port: int | str | None = None,
        protocol: str = "TCP",
        *,
        family: Family | None = None,
    ) -> Explanation:
        """Which policy, rule and peer decide a flow, and which change would reverse the verdict.

        UsageError if a name stands for several pods.
        """
        flows = self.flows(source, destination, port, protocol, family=family)
        if len(flows) != 1:
            raise UsageError(f"{source} and {destination} stand for {len(flows)} flows: name one pod each")
        return explain(Simulator(self.model, self.profile), flows[0])

    def simulate(
        self,
        *,
        sources: Sequence[str] = (),
        destinations: Sequence[str] = (),
        ports: Sequence[tuple[int, str]] = (),
    ) -> Report:
        """A report with a row for every ordered pair of pods, on the ports that destinations declare.

        `sources` and `destinations` limit it (they may contain `*`); `ports` are (number, protocol).
        """
        question = read_question(
            self.model,
            sources=sources,
            destinations=destinations,
            externals=self.externals,
            ports=[(number, Protocol(protocol)) for number, protocol in ports],
        )
        started = datetime.now(UTC)
        step = pairs_step(AllPairs(question, self.profile), changed_only=False, groups=False, rows=True)
        return Report(None, ClusterInfo(cni=self.profile.name), RunInfo.since(started), (step,))

    def flows(
        self,
        source: str,
        destination: str,
        port: int | str | None,
        protocol: str,
        *,
        family: Family | None = None,
    ) -> tuple[Flow, ...]:
        """The flows that two names and a port stand for; UsageError if a name matches nothing."""
        asked = None if port is None else (port, Protocol(protocol))
        found = simulate.named_flows(self.model, source, destination, asked, self.externals)
        return tuple(replace(one, family=family) for one in found)


def load_suite(path: Path) -> Suite:
    """Read a suite file and its policies. InputError with every problem, with file and line."""
    return load_suite_file(str(path))


def _suite(suite: Suite | Path) -> Suite:
    return suite if isinstance(suite, Suite) else load_suite(suite)


def simulate_suite(suite: Suite | Path, *, cluster: Cluster | None = None, profile: str = "calico") -> Report:
    """Compare what a suite declares with what its policies say; no cluster is contacted.

    `cluster` is the one that a suite without a topology is about.
    """
    read = _suite(suite)
    started = datetime.now(UTC)
    steps = suite_steps(suite_moments(read, cluster.model if cluster else None, simulate.profile(profile)))
    return Report(read.name, ClusterInfo(cni=profile), RunInfo.since(started), steps)


def run_suite(
    suite: Suite | Path,
    *,
    context: str | None = None,
    kubeconfig: Path | None = None,
    lab: str | None = None,
    profile: str = "calico",
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Probe every flow that a suite declares, and compare with what its policies say.

    Without `context`, `kubeconfig` and `lab` (the name of a running one) it starts a lab for this run.
    A suite without a topology is probed in place. Blocks until everything is removed again, also after
    KeyboardInterrupt. `progress` gets what is being done.
    """
    import asyncio

    from netprobe.lab import LabOptions
    from netprobe.run.cluster import RunOptions
    from netprobe.run.driver import Mode, run
    from netprobe.run.fixture import FixtureMode
    from netprobe.run.in_place import InPlaceMode
    from netprobe.run.target import ClusterChoice

    read = _suite(suite)
    target = ClusterChoice(None if kubeconfig is None else str(kubeconfig), context, lab=lab)
    options = RunOptions(target, LabOptions(), profile=simulate.profile(profile))
    mode: Mode = InPlaceMode(read) if read.topology is None else FixtureMode(read)
    return asyncio.run(run(mode, options, progress))
