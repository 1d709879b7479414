"""`netprobe run`: declared, simulated and observed, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from netprobe.cli.options import (
    DurationType,
    ReportFile,
    cluster_options,
    examples,
    grouped,
    lab_options,
    output_option,
    profile_option,
    ready_option,
    resolve_target,
    wait_option,
)
from netprobe.cli.pod_options import PodFlags, pod_options, print_images
from netprobe.errors import UsageError
from netprobe.model.flow import Family, Via

if TYPE_CHECKING:
    from netprobe.lab import LabOptions, Starting
    from netprobe.run.copy import Copy
    from netprobe.run.fixture import Fixture
    from netprobe.run.in_place import InPlace
    from netprobe.run.options import RunOptions
    from netprobe.run.target import Target

F = TypeVar("F", bound=Callable[..., Any])

FAMILIES: Final[Mapping[str | None, Family | None]] = {None: None, "ipv4": 4, "ipv6": 6}


def in_place_options(function: F) -> F:
    """--in-place and the options that only runs in place have."""
    return grouped(
        click.option(
            "--in-place",
            is_flag=True,
            help="Probe the pods that are in the cluster, from shadow pods beside them. The default for a "
            "suite without topology.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="In place: print what would be created as YAML; create nothing."
        ),
        click.option(
            "--disturb", is_flag=True, help="In place: continue even if shadow pods disturb other workloads."
        ),
        click.option(
            "--sample",
            metavar="N",
            type=click.IntRange(0),
            default=0,
            help="In place: also probe N pods drawn at random.",
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="In place: seed of the random sample."
        ),
        click.option(
            "-f",
            "--filename",
            "filenames",
            multiple=True,
            metavar="PATH",
            type=click.Path(allow_dash=True),
            help="With --shadow-namespace: a file or folder of policies to try. Repeatable.",
        ),
        click.option(
            "--shadow-namespace",
            is_flag=True,
            help="In place: try policies (-f, and the suite's) on copies of the pods, in new namespaces.",
        ),
        click.option(
            "--via",
            type=click.Choice([Via.DNS.value, Via.NODE_PORT.value]),
            multiple=True,
            help="In place: also reach Services this way. Repeatable.",
        ),
        click.option(
            "--lifetime",
            "lifetime_s",
            type=DurationType(),
            default="15m",
            show_default=True,
            help="In place: the cluster removes shadow pods by itself after this time.",
        ),
    )(function)


@click.command
@click.argument("suite", type=click.Path(), required=False)
@cluster_options
@lab_options
@pod_options
@ready_option("120s")
@wait_option
@click.option(
    "--placement",
    type=click.Choice(["same", "other", "both"]),
    help="Probe flows between pods on the same node, on different nodes, or both as separate rows.",
)
@click.option(
    "--ip-family",
    type=click.Choice(["ipv4", "ipv6"]),
    help="Probe only this family where pods have addresses of both.",
)
@in_place_options
@profile_option
@output_option()
@examples("""
netprobe run manifests/two-tier/suite.yaml                 # on a lab made for this run
netprobe run suite.yaml -o wide --report junit=junit.xml   # the matrix, and a file for the pipeline
netprobe run --context kind-kind suite.yaml                # on a cluster of your kubeconfig
netprobe run --context prod suite.yaml --in-place          # the pods that are there; --dry-run shows how
netprobe run --lab-no-enforcement suite.yaml               # what a CNI that enforces nothing looks like
""")
@click.pass_context
def command(ctx: click.Context, /, suite: str | None, **given: Any) -> int:
    """Probe every flow that SUITE declares, and compare with what its policies say.

    Creates the suite's namespaces, pods and policies, tries every flow with `nc -zv` in the source pod, and
    removes everything again. Without --kubeconfig, --context or --lab this happens on a lab made for the
    run, whatever $KUBECONFIG says.
    """
    from netprobe.lab import begin

    output: str = given.pop("output")
    reports: Sequence[ReportFile] = given.pop("reports")
    flags = PodFlags.taken_from(given)
    request = _Request.taken_from(suite, given)
    common = _Common.taken_from(given)
    target, lab = resolve_target(ctx, **given)
    if flags.print_images:
        return print_images(flags)
    starting = begin(lab) if target.is_ephemeral_lab else None
    if starting is not None:
        ctx.call_on_close(starting.cancel)
    # These imports take as long as the lab's start: meanwhile.
    from netprobe.cli.emit import emit
    from netprobe.cli.progress import run_with_progress
    from netprobe.run.driver import preview, run
    from netprobe.run.fixture import Fixture

    mode = request.mode()
    options = common.run_options(target, starting or lab, flags)
    if request.dry_run and not isinstance(mode, Fixture):
        for piece in run_with_progress(lambda progress: preview(mode, options, progress)):
            print(piece, end="")
        return 0
    return emit(run_with_progress(lambda progress: run(mode, options, progress)), output, reports)


@dataclass(frozen=True, slots=True)
class _Common:
    """The options that all modes have."""

    request_timeout_s: float
    ready_s: float
    wait_s: float
    ip_family: str | None
    profile: str

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> _Common:
        """Take these options out of a command's keyword arguments."""
        return cls(**{one.name: given.pop(one.name) for one in fields(cls)})

    def run_options(self, target: Target, lab: LabOptions | Starting, flags: PodFlags) -> RunOptions:
        from netprobe.probe import Deadlines, Pace
        from netprobe.run.options import RunOptions
        from netprobe.simulate import profile

        return RunOptions(
            target,
            lab,
            flags.pods(),
            Deadlines(ready_s=self.ready_s),
            Pace(wait_s=self.wait_s, start_s=min(20.0, self.request_timeout_s or 20.0)),
            profile(self.profile),
            self.request_timeout_s,
            FAMILIES[self.ip_family],
        )


@dataclass(frozen=True, slots=True)
class _Request:
    """The suite and the options that choose the mode of the run."""

    suite: str | None
    placement: str | None
    in_place: bool
    dry_run: bool
    disturb: bool
    sample: int
    seed: int
    lifetime_s: float
    via: tuple[str, ...]
    shadow_namespace: bool
    filenames: tuple[str, ...]

    @classmethod
    def taken_from(cls, suite: str | None, given: dict[str, Any]) -> _Request:
        """Take these options out of a command's keyword arguments."""
        return cls(suite, **{one.name: given.pop(one.name) for one in fields(cls)[1:]})

    @property
    def lifetime_whole_s(self) -> int:
        """A Job counts whole seconds; less than 10 would end before the pods are ready."""
        if self.lifetime_s < 10:
            raise UsageError("--lifetime must be 10s at least")
        return math.ceil(self.lifetime_s)

    def mode(self) -> Fixture | InPlace | Copy:
        """The mode; UsageError for options that do not go together, InputError for the suite."""
        self._check()
        from netprobe.suite import load

        suite = load(self.suite) if self.suite is not None else None
        of_existing_pods = self.in_place or (suite is not None and suite.topology is None)
        if self.placement and of_existing_pods:
            raise UsageError("--placement is for pods that a run makes: in place they are where they are")
        if self.shadow_namespace:
            from netprobe.run.copy import Copy, policies_to_try

            return Copy(policies_to_try(self.filenames, suite), suite, self.sample, self.seed)
        if suite is None:
            raise click.MissingParameter(param_hint="SUITE", param_type="argument")
        if of_existing_pods:
            from netprobe.run.in_place import InPlace

            return InPlace(
                suite,
                tuple(map(Via, self.via)),
                self.sample,
                self.seed,
                disturb=self.disturb,
                lifetime_s=self.lifetime_whole_s,
            )
        self._refuse_in_place_options()
        from netprobe.run.fixture import Fixture
        from netprobe.run.placement import CHOICES, Placing

        return Fixture(suite, Placing(CHOICES[self.placement] if self.placement else ()))

    def _check(self) -> None:
        if self.shadow_namespace and not self.in_place:
            raise UsageError("--shadow-namespace copies what is in a cluster: it needs --in-place too")
        if self.filenames and not self.shadow_namespace:
            raise UsageError("-f names policies to try in a copy: it needs --in-place --shadow-namespace")
        if self.shadow_namespace and self.via:
            raise UsageError("--via reaches Services, and --shadow-namespace copies none")
        if self.shadow_namespace and self.suite is None and not self.filenames:
            raise UsageError("--shadow-namespace tries policies: name them by -f, or give a suite that does")

    def _refuse_in_place_options(self) -> None:
        for name, value in (
            ("--dry-run", self.dry_run),
            ("--disturb", self.disturb),
            ("--sample", self.sample),
            ("--via", self.via),
        ):
            if value:
                raise UsageError(f"{name} is for runs in place: --in-place, or a suite without topology")
