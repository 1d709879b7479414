"""What the cluster does: probe pods, `nc` by exec, and a judgement that never guesses.

    plan       flows -> one batch for each source pod              pure
    netcat     the command in the pod, and reading its answer      pure (the *.sh beside it)
    judge      outcome x listener x path -> verdict                pure, one table
    bench      the objects of a run                                pure
    workbench  makes them, waits, removes them                     Workbench
    canary     does the cluster enforce, and since when
    prober     baseline, changes, rounds until stable              Prober
    settle     when a table is stable
    cleanup    what dead runs left                                 clean()
    lease      whether a run lives

It speaks to the cluster through `ClusterAPI` (api.py), which `netprobe.kube.connect` implements, and it never
sees an expectation. A run in fixture mode, with steps:

    fixture = Fixture(tuple(topology.namespaces.values()), tuple(topology.pods.values()), outside=hosts)
    async with connect(kubeconfig) as cluster:
        async with Workbench(cluster, fixture, changes=1 + len(steps), lab=is_lab) as bench:
            async with Prober(cluster, bench, flows) as prober:
                await prober.baseline()                    # no policy of the suite is there yet

                async def policies() -> None:
                    for obj in suite.policies:             # API objects, each with metadata.namespace
                        await bench.apply(obj)

                first = await prober.observe(policies)
                first.matrix[flow].verdict                 # Matrix[Observation], in the order of `flows`
                first.facts.converged_s, first.facts.enforcement.enforcing, first.facts.problems

                for step in steps:
                    async def change() -> None:
                        await bench.label("production", {"tier": "production"})
                        await bench.apply(obj)
                        await bench.delete("NetworkPolicy", "old", "production")

                    await prober.observe(change)

Entering or leaving the Workbench raises NetprobeError (its text is for users); cancelling the task that is
inside (Ctrl-C; let SIGTERM cancel it too) removes everything of the run before CancelledError goes on.
`await clean(cluster, run=None, dry_run=False)` returns what it removed and what living runs it spared.
"""

from __future__ import annotations

from netprobe.probe.api import ClusterAPI, Execution
from netprobe.probe.bench import Deadlines, new_run
from netprobe.probe.canary import Canaries, Enforcement
from netprobe.probe.cleanup import Cleaned, Leftover, clean
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Station, Unplaced
from netprobe.probe.prober import Facts, Observed, Prober
from netprobe.probe.run_objects import Fixture, OutsideHost, PodOptions
from netprobe.probe.workbench import Workbench

__all__ = [
    "Canaries",
    "Cleaned",
    "ClusterAPI",
    "Deadlines",
    "Enforcement",
    "Execution",
    "Facts",
    "Fixture",
    "Leftover",
    "Observed",
    "OutsideHost",
    "Pace",
    "PodOptions",
    "Prober",
    "Station",
    "Unplaced",
    "Workbench",
    "clean",
    "new_run",
]
