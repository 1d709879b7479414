"""The options of `netprobe run` for clusters with workloads of others in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netprobe.cli.options import DurationType
from netprobe.errors import UsageError
from netprobe.model.flow import Via

if TYPE_CHECKING:
    from netprobe.run.trial import Trial
    from netprobe.run.visit import Visit

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class InPlaceOptions:
    """As given. All but `in_place` are for runs in place only."""

    in_place: bool
    dry_run: bool
    disturb: bool
    sample: int
    seed: int
    lifetime_s: float
    via: tuple[str, ...]
    shadow_namespace: bool
    filenames: tuple[str, ...]

    @property
    def ways(self) -> tuple[Via, ...]:
        return tuple(map(Via, self.via))

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> InPlaceOptions:
        """Take these options out of a command's keyword arguments."""
        return cls(**{one.name: options.pop(one.name) for one in fields(cls)})

    @property
    def lifetime_whole_s(self) -> int:
        """A Job counts whole seconds; less than 10 would end before the pods are ready."""
        if self.lifetime_s < 10:
            raise UsageError("--lifetime must be 10s at least")
        return math.ceil(self.lifetime_s)

    def check(self, suite: str | None) -> None:
        """UsageError for options that do not go together."""
        if self.shadow_namespace and not self.in_place:
            raise UsageError("--shadow-namespace copies what is in a cluster: it needs --in-place too")
        if self.filenames and not self.shadow_namespace:
            raise UsageError("-f names policies to try in a copy: it needs --in-place --shadow-namespace")
        if self.shadow_namespace and self.via:
            raise UsageError("--via reaches Services, and --shadow-namespace copies none")
        if self.shadow_namespace and suite is None and not self.filenames:
            raise UsageError("--shadow-namespace tries policies: name them by -f, or give a suite that does")

    def refuse_elsewhere(self) -> None:
        """UsageError where one of them is given to a run that makes its own pods."""
        given = [
            name
            for name, value in (
                ("--dry-run", self.dry_run),
                ("--disturb", self.disturb),
                ("--sample", self.sample),
                ("--via", self.via),
                ("--shadow-namespace", self.shadow_namespace),
                ("-f", self.filenames),
            )
            if value
        ]
        if given:
            raise UsageError(f"{given[0]} is for runs in place: --in-place, or a suite without topology")


def inplace_options(function: F) -> F:
    """--in-place and what goes with it."""
    for option in (
        click.option(
            "--lifetime",
            "lifetime_s",
            type=DurationType(),
            default="15m",
            show_default=True,
            help="In place: after this time the cluster itself removes shadow pods, if nobody else does.",
        ),
        click.option(
            "--via",
            type=click.Choice([Via.DNS.value, Via.NODE_PORT.value]),
            multiple=True,
            help="In place: reach the Services of rows in this way too. Repeatable.",
        ),
        click.option(
            "--shadow-namespace",
            is_flag=True,
            help="In place: try policies (-f, and the suite's) in a copy, in namespaces of the run's own.",
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
            "--seed", type=int, default=0, show_default=True, help="In place: draws the same sample again."
        ),
        click.option(
            "--sample",
            metavar="N",
            type=click.IntRange(0),
            default=0,
            help="In place: N pods drawn at random, beside one for each kind of pod.",
        ),
        click.option(
            "--disturb",
            is_flag=True,
            help="In place: go on where a shadow pod would disturb what others run.",
        ),
        click.option(
            "--dry-run",
            is_flag=True,
            help="In place: print what would be created as YAML, and create nothing.",
        ),
        click.option(
            "--in-place",
            is_flag=True,
            help="Probe the pods that are in the cluster, from shadow pods beside them. A suite without "
            "topology means that too.",
        ),
    ):
        function = option(function)
    return function


def visited(visit: Visit, output: str, reports: Sequence[Any], *, dry_run: bool) -> int:
    """Run in place, or rehearse it; returns the exit status."""
    from netprobe.cli.emit import emit
    from netprobe.cli.narration import run_narrated
    from netprobe.run.rehearsal import rehearsal
    from netprobe.run.visit import refuse

    if not dry_run:
        return emit(run_narrated(visit.run), output, reports)
    found = run_narrated(visit.rehearse)
    _print(rehearsal(found, visit.terms.pods))
    refuse(found.seen_by, found.beside, disturb=visit.disturb)
    return 0


def tried(trial: Trial, output: str, reports: Sequence[Any], *, dry_run: bool) -> int:
    """Try policies in a copy, or rehearse that; returns the exit status."""
    from netprobe.cli.emit import emit
    from netprobe.cli.narration import run_narrated

    if not dry_run:
        return emit(run_narrated(trial.run), output, reports)
    _print(run_narrated(trial.rehearse))
    return 0


def _print(pieces: Iterator[str]) -> None:
    for piece in pieces:
        print(piece, end="")
