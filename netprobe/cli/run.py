"""`netprobe run`: declared, simulated and observed, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from netprobe.cli import options
from netprobe.cli.flags import ClusterFlags, FlowFlags, LabFlags, PodFlags, ViewFlags, resolve_target
from netprobe.cli.invoke import say
from netprobe.errors import UsageError
from netprobe.model.flow import Via
from netprobe.report import FORMATS

if TYPE_CHECKING:
    from netprobe.run.cluster import RunOptions
    from netprobe.run.copy import CopyMode
    from netprobe.run.driver import Mode
    from netprobe.run.fixture import FixtureMode
    from netprobe.run.in_place import InPlaceMode


@dataclass(frozen=True, slots=True)
class ModeFlags(options.Flags):
    """What chooses the mode of the run, and the options that only in-place runs have."""

    HEADING: ClassVar = "Existing pods (in place)"
    in_place: bool = options.flag(
        "--in-place",
        "Probe the cluster's existing pods, from shadow pods. The default for a suite without a topology.",
    )
    dry_run: bool = options.flag(
        "--dry-run", "Print the objects that an in-place run would create, as YAML; create nothing."
    )
    disturb: bool = options.flag("--disturb", "Continue even if shadow pods disturb other workloads.")
    sample: int = options.option(
        "--sample N", "Also probe N existing pods drawn at random.", type=click.IntRange(0), default=0
    )
    seed: int = options.option("--seed", "Seed of the random sample.", type=int, default=0)
    filenames: tuple[str, ...] = options.filenames(
        "With --shadow-namespace: file or folder of policies to try, like PATHS. Repeatable."
    )
    shadow_namespace: bool = options.flag(
        "--shadow-namespace",
        "With --in-place: try policies (PATHS, -f, the suite's) on copies of the pods in new namespaces.",
    )
    via: tuple[str, ...] = options.repeatable(
        "--via",
        "Also connect to Services by DNS name, or through a node port.",
        type=click.Choice([Via.DNS.value, Via.NODE_PORT.value]),
    )
    lifetime_s: float = options.duration(
        "--lifetime",
        "After this time the cluster removes the shadow pods, even if netprobe was killed.",
        default="15m",
    )

    def chosen(
        self, path: str | None, placement: str | None, prefix: str
    ) -> FixtureMode | InPlaceMode | CopyMode:
        """The mode. UsageError for options that do not go together, InputError for the suite."""
        self._check(path)
        from netprobe.suite import load

        suite = load(path, prefix=prefix) if path is not None else None
        if prefix and (self.in_place or self.shadow_namespace):
            raise UsageError("--namespace-prefix cannot be used in place: the namespaces are there already")
        of_existing_pods = self.in_place or (suite is not None and suite.topology is None)
        if placement and of_existing_pods:
            raise UsageError("--placement cannot be used in place: the pods are already on their nodes")
        if self.shadow_namespace:
            from netprobe.run.copy import CopyMode, policies_to_try

            return CopyMode(policies_to_try(self.filenames, suite), suite, self.sample, self.seed)
        if suite is None:
            raise click.MissingParameter(param_hint="SUITE", param_type="argument")
        if of_existing_pods:
            from netprobe.run.in_place import InPlaceMode

            if self.lifetime_s < 10:  # less would end before the pods are ready
                raise UsageError("--lifetime must be at least 10s")
            lifetime_s = math.ceil(self.lifetime_s)  # a Job counts whole seconds
            ways = tuple(map(Via, self.via))
            return InPlaceMode(
                suite, ways, self.sample, self.seed, disturb=self.disturb, lifetime_s=lifetime_s
            )
        for name in ("dry_run", "disturb", "sample", "via"):
            if getattr(self, name):
                given = f"--{name.replace('_', '-')}"
                raise UsageError(f"{given} needs --in-place, or a suite without topology")
        from netprobe.run.fixture import PLACEMENTS, FixtureMode

        return FixtureMode(suite, PLACEMENTS[placement])

    def _check(self, path: str | None) -> None:
        if self.shadow_namespace and not self.in_place:
            raise UsageError("--shadow-namespace copies what is in a cluster: it needs --in-place too")
        if self.filenames and not self.shadow_namespace:
            raise UsageError("-f names policies to try in a copy: it needs --in-place --shadow-namespace")
        if self.shadow_namespace and self.via:
            raise UsageError("--via cannot be used with --shadow-namespace, which does not copy Services")
        if self.shadow_namespace and path is None and not self.filenames:
            raise UsageError(
                "--shadow-namespace tries policies: name them with -f, or give a suite with policies"
            )


@dataclass(frozen=True, slots=True)
class RunFlags(options.Flags):
    suite: str | None = options.argument(type=click.Path(), required=False)
    paths: tuple[str, ...] = options.argument(nargs=-1, type=click.Path(allow_dash=True))
    cluster: ClusterFlags = options.nested(ClusterFlags)
    lab: LabFlags = options.nested(LabFlags)
    pods: PodFlags = options.nested(PodFlags)
    ready_s: float = options.ready("120s")
    wait_s: float = options.wait()
    ip_family: str | None = options.family()
    namespace_prefix: str = options.option(
        "--namespace-prefix PREFIX",
        "Put this in front of the names of the suite's namespaces, to run next to existing ones.",
        default="",
        show_default=False,
    )
    placement: str | None = options.option(
        "--placement",
        "Probe flows between pods on the same node, on different nodes, or both as separate rows.",
        type=click.Choice(["same", "other", "both"]),
    )
    profile: str = options.profile()
    history: Path | None = options.option(
        "--history DIR",
        "Also keep the report in this folder, for `netprobe history`.",
        type=click.Path(path_type=Path, file_okay=False),
    )
    selection: FlowFlags = options.nested(FlowFlags)
    view: ViewFlags = options.nested(ViewFlags)
    mode: ModeFlags = options.nested(ModeFlags)
    out: options.OutputFlags = options.output(FORMATS.names)


@options.as_command(RunFlags)
def command(flags: RunFlags) -> int:
    """Probe every flow that SUITE declares, and compare with the declaration and the policies.

    Creates the suite's namespaces, pods and policies, tries every flow with `nc -zv` in the source pod, and
    removes everything again. Without --context, --kubeconfig or --lab it runs on a new lab, whatever
    $KUBECONFIG says.

    Exit status: 0 all as expected, 1 differences, 2 unusable input, 3 could not tell, 130 interrupted.

    Examples:
      netprobe run manifests/two-tier/suite.yaml                 # on a lab created for this run
      netprobe run suite.yaml -o wide --report junit=junit.xml   # the matrix, and a file for the pipeline
      netprobe run --context kind-kind suite.yaml                # on a cluster of your kubeconfig
      netprobe run --context prod suite.yaml --in-place          # its existing pods; first try --dry-run
      netprobe run --lab-no-enforcement suite.yaml               # how a CNI that enforces nothing looks
    """
    from netprobe.lab import begin

    target, new_lab = resolve_target(flags.cluster, flags.lab)
    starting = begin(new_lab) if target.is_ephemeral_lab else None
    if starting is not None:
        click.get_current_context().call_on_close(starting.cancel)
    # These imports take as long as the lab's start: meanwhile.
    from netprobe.cli.progress import run_with_progress
    from netprobe.probe import Deadlines, Pace
    from netprobe.run.cluster import RunOptions
    from netprobe.run.driver import preview
    from netprobe.run.fixture import FixtureMode
    from netprobe.run.moment import FlowFilter
    from netprobe.simulate import profile as profile_of

    suite, paths = flags.suite, flags.paths
    if flags.mode.shadow_namespace and suite is not None:
        from netprobe.suite import is_suite

        if not is_suite(suite):  # all arguments are policies to try
            paths, suite = (suite, *paths), None
    mode_flags = replace(flags.mode, filenames=(*paths, *flags.mode.filenames))
    mode = mode_flags.chosen(suite, flags.placement, flags.namespace_prefix)
    timeout_s = flags.cluster.request_timeout_s
    wanted = RunOptions(
        target,
        starting or new_lab,
        flags.pods.options(),
        Deadlines(ready_s=flags.ready_s),
        Pace(wait_s=flags.wait_s, start_s=min(20.0, timeout_s or 20.0)),
        profile_of(flags.profile),
        timeout_s,
        options.FAMILIES[flags.ip_family],
        FlowFilter(flags.selection.sources, flags.selection.destinations, flags.selection.ports),
    )
    if flags.mode.dry_run and not isinstance(mode, FixtureMode):
        for piece in run_with_progress(lambda progress: preview(mode, wanted, progress)):
            print(piece, end="")
        return 0
    return _run(mode, wanted, flags.out, flags.view, flags.history)


def _run(
    mode: Mode, wanted: RunOptions, out: options.OutputFlags, view: ViewFlags, history: Path | None
) -> int:
    """Run, and print the report when it is known: before the pods are removed."""
    from netprobe.cli.emit import emit
    from netprobe.cli.progress import run_with_progress
    from netprobe.run.cluster import Progress
    from netprobe.run.driver import run
    from netprobe.run.record import Report

    printed: list[Report] = []

    async def probe(progress: Progress) -> Report:
        def show(report: Report) -> None:
            progress("")
            emit(report, out, view)
            if history is not None:
                from netprobe.history import keep  # takes time to import

                keep(history, report)
            printed.append(report)

        return await run(mode, wanted, progress, show)

    report = run_with_progress(probe)
    for problem in report.problems[len(printed[0].problems) :]:  # what could not be removed
        say(problem)
    return report.exit_status
