"""What the cluster does: probe pods, `nc` by exec, and a judgement that never guesses.

    plan        flows -> one batch for each source pod                  pure
    netcat      the command in the pod, and reading its answer          pure (with the *.sh files)
    session     one command in one pod, which tries targets
    judge       outcome x listener x path -> verdict                    pure, one table
    evidence    what has proven listeners and paths so far
    settle      when a matrix is stable
    prober      baseline, changes, rounds until stable                  Prober
    canary      does the cluster enforce, and since when
    pace        presets and deadlines                                   Pace
    run_objects the objects of a run, and what admission changed        pure
    bench       what every kind of run does                             Bench
    workbench   a fixture in its own namespaces                         Workbench
    readiness   waiting for pods
    permission  what a run must be permitted to do
    ownership   which objects a run owns, and the proof                 pure
    lease       shows that a run is alive, and holds its record; whether other runs are alive
    cleanup     removing what runs made                                 clean()

For pods next to existing workloads, which must not be disturbed:

    surroundings     what is read of the cluster before anything is created
    conflicts        who would see a shadow pod, and whether that does harm    pure
    guest_workbench  shadow pods in namespaces of others                       GuestWorkbench

It uses the cluster through `ClusterAPI` (api.py), which `netprobe.kube.connect` implements, and it never sees
an expectation. A run with steps:

    async with connect(kubeconfig) as cluster, Workbench(cluster, fixture, changes=2) as bench:
        async with Prober(cluster, bench.stations, flows, canaries=bench.canaries) as prober:
            await prober.baseline()                                     # no policy of the suite exists yet
            seen = await prober.observe(lambda: bench.apply(policy))
            seen.matrix[flow].verdict, seen.facts.converged_s
            await prober.observe(lambda: bench.label("shop", {"tier": "front"}))

Cancelling the task that is inside (Ctrl-C; let SIGTERM cancel it too) removes everything of the run before
CancelledError is raised again.
"""

from __future__ import annotations

from netprobe.probe.api import ClusterAPI, Execution
from netprobe.probe.bench import Deadlines, new_run
from netprobe.probe.canary import Canaries, Enforcement
from netprobe.probe.cleanup import Cleaned, Leftover, clean
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Station, Unplaced
from netprobe.probe.prober import ObservationFacts, Observed, Prober
from netprobe.probe.run_objects import Fixture, OutsideHost, PodOptions
from netprobe.probe.workbench import Workbench

__all__ = [
    "Canaries",
    "Cleaned",
    "ClusterAPI",
    "Deadlines",
    "Enforcement",
    "Execution",
    "Fixture",
    "Leftover",
    "ObservationFacts",
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
