"""`netprobe simulate`: what the policies say, without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from netprobe.cli import options
from netprobe.cli.flags import ClusterFlags, Selection, ViewFlags
from netprobe.cli.inputs import InputFlags, cluster_name, read_world
from netprobe.cli.invoke import say
from netprobe.errors import UsageError
from netprobe.model.flow import End
from netprobe.model.text import listed, plain
from netprobe.report import FORMATS

if TYPE_CHECKING:
    from netprobe.run.moment import SimulatedMoment

OF_EVERY_ROW = frozenset({"matrix", "json", "yaml", "junit", "github", "html"})
"""The formats that write every row, however many there are."""

DOCUMENTS = frozenset({"json", "yaml"})
"""Those that write groups instead with --grouped, which is suggested above MANY_ROWS."""

MANY_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class SimulateFlags(options.Flags):
    inputs: InputFlags = options.nested(InputFlags)
    cluster: ClusterFlags = options.nested(ClusterFlags)
    selection: Selection = options.nested(Selection)
    include_self: bool = options.flag("--include-self", "Include flows of pods to themselves.")
    changed_only: bool = options.flag(
        "--changed-only", "Show only flows that policies deny or that are not as expected."
    )
    diff: bool = options.flag(
        "--diff", "Print changes that make the policies match the suite, as a patch for `git apply`."
    )
    view: ViewFlags = options.nested(ViewFlags)
    profile: str = options.profile()
    out: options.OutputFlags = options.output(FORMATS.names)


@options.as_command(SimulateFlags)
def command(flags: SimulateFlags) -> int:
    """Show what the policies of a SUITE, of manifests, or of a live cluster allow.

    With a SUITE, compares the flows that it declares with what its policies say, and exits with status 1 if
    they differ. Without one, lists every ordered pair of different pods, on the ports that the destination
    declares or on those given with --port.

    Examples:
      netprobe simulate suite.yaml                        # compare with what the suite declares
      netprobe simulate suite.yaml -o github              # in a workflow: annotations at the policy's line
      netprobe simulate manifests/ --port 80 --port 53/udp -o json
      kubectl get ns,pods,svc,netpol -A -o yaml | netprobe simulate - --to shop/db
      netprobe simulate suite.yaml --diff | git apply     # make the policies match the suite
      netprobe simulate --context staging --from shop/web # the policies of a live cluster
    """
    from netprobe.cli.emit import emit
    from netprobe.run.record import ClusterInfo, Report, RunInfo
    from netprobe.simulate import profile as profile_of

    started = datetime.now(UTC)
    chosen = profile_of(flags.profile)
    world = read_world(
        flags.inputs,
        flags.cluster,
        nothing="nothing to simulate: give a suite, or manifests with -f, or a cluster with --context",
    )
    simulated = world.cluster()
    if world.suite is not None:
        if flags.selection.externals or flags.include_self:
            raise UsageError(
                "--external and --include-self cannot be used with a suite, as it declares its own flows"
            )
        from netprobe.run.steps import suite_moments, suite_steps

        moments = suite_moments(
            world.suite,
            world.live,
            chosen,
            sources=flags.selection.sources,
            destinations=flags.selection.destinations,
            ports=flags.selection.ports,
        )
        if flags.diff:
            return _diff(moments)
        steps = suite_steps(moments, changed_only=flags.changed_only)
    elif flags.diff:
        raise UsageError("--diff makes the policies match a declaration: name a suite")
    else:
        from netprobe.run.steps import pairs_step
        from netprobe.simulate import AllPairs, read_question

        question = read_question(
            simulated,
            sources=flags.selection.sources,
            destinations=flags.selection.destinations,
            externals=flags.selection.externals,
            ports=flags.selection.ports,
            include_self=flags.include_self,
        )
        if not question.size:
            say("no flow to show: fewer than two pods, or no pod declares a port (name one with --port)")
        written = {flags.out.output, *(one.format for one in flags.out.reports)}
        of_every_row = OF_EVERY_ROW - (DOCUMENTS if flags.view.grouped else frozenset())
        every_row = flags.view.everything or flags.view.only_differences or bool(written & of_every_row)
        if written & DOCUMENTS & of_every_row and question.size > MANY_ROWS:
            say(f"{question.size:,} flows, one by one: --grouped writes pods that behave alike in one row")
        steps = (
            pairs_step(
                AllPairs(question, chosen),
                changed_only=flags.changed_only,
                groups=bool(written - of_every_row),
                rows=every_row,
            ),
        )
    nodes: dict[End, str] = {pod.ref: pod.node for pod in simulated.pods.values() if pod.node is not None}
    live = world.live is not None and not flags.inputs.split()[1]
    info = ClusterInfo(context=cluster_name(flags.cluster) if live else None, cni=chosen.name)
    name = world.suite.name if world.suite is not None else None
    return emit(
        Report(name, info, RunInfo.since(started), steps, warnings=simulated.warnings, nodes=nodes),
        flags.out,
        flags.view,
    )


def _diff(moments: Sequence[SimulatedMoment]) -> int:
    """Print the changes after which the policies match the declaration."""
    from netprobe.manifests.unified import unified
    from netprobe.run.steps import resolve

    found = resolve(moments)
    for number, summary in enumerate(found.summaries, 1):
        print(f"# {number}. {plain(summary)}")
    for piece in unified(found.changes):
        print(piece, end="")
    if found.left:
        some = listed(map(str, found.left))
        say(f"no safe change found for {len(found.left)} of the flows that differ: {some}")
    return 1 if found.summaries or found.left else 0
