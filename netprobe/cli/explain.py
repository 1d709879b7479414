"""`netprobe explain`: which policy, rule, peer and side decide a flow, and what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from netprobe.cli import complete, options
from netprobe.cli.emit import write_either
from netprobe.cli.flags import ClusterFlags
from netprobe.cli.inputs import InputFlags, read_world
from netprobe.cli.invoke import say
from netprobe.cli.parameters import PORT, PortArgument
from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow
from netprobe.model.text import plain
from netprobe.model.verdict import Verdict
from netprobe.report.style import BOLD_BAD, BOLD_GOOD, BOLD_UNSURE, Style, wrapped

if TYPE_CHECKING:
    from netprobe.explain import Explanation

MOST_FLOWS = 400
"""Flows between the pods of two workloads."""

COLOURS = {Verdict.ALLOW: BOLD_GOOD, Verdict.DENY: BOLD_BAD, Verdict.UNKNOWN: BOLD_UNSURE}


@dataclass(frozen=True, slots=True)
class ExplainFlags(options.Flags):
    source: str = options.argument(metavar="FROM", shell_complete=complete.pods)
    destination: str = options.argument(metavar="TO", shell_complete=complete.destinations)
    port: PortArgument | None = options.option(
        "--port PORT[/PROTOCOL]",
        "Port: 80, 53/udp, or a name. Optional if TO declares only one port.",
        type=PORT,
    )
    inputs: InputFlags = options.nested(
        InputFlags,
        suite_path=options.option("--suite FILE", "The suite, if it is not an argument.", type=click.Path()),
    )
    step: int = options.option(
        "--step N", "Apply the first N steps of the suite.", type=click.IntRange(0), default=0
    )
    ignore_unsimulated: bool = options.flag(
        "--ignore-unsimulated", "Exit with 0 even if objects that are not simulated may decide the flow."
    )
    diff: bool = options.flag("--diff", "Print the suggested change as a patch for `git apply`.")
    cluster: ClusterFlags = options.nested(ClusterFlags)
    ip_family: str | None = options.family()
    profile: str = options.profile()
    out: options.OutputFlags = options.output(("text", "json"))


@options.as_command(ExplainFlags)
def command(flags: ExplainFlags) -> int:
    """Explain why the policies allow or deny a flow, from manifests, a suite or a live cluster.

    FROM and TO are NAMESPACE/POD, NAMESPACE/WORKLOAD (all its pods) or an address outside; TO may also be
    svc:NAMESPACE/SERVICE.

    The answer comes first, then every policy that applies, tier by tier, with the part of each rule that does
    not match, then policies that almost apply. Last comes the smallest change that would reverse the verdict
    without breaking a flow that the suite declares, and what else that change opens or closes.

    Exit status: 0 for either verdict, 2 unusable input, 3 if the verdict is unknown, or if a policy that is
    not simulated may decide the flow; with --diff, 1 if there is no change to suggest.

    Examples:
      netprobe explain frontend/web database/pg --port 5432 manifests/
      netprobe explain monitoring/grafana shop/db --port 9187 suite.yaml
      netprobe explain shop/cart 203.0.113.10 --port 443 --context staging
      netprobe explain shop/web svc:shop/cart --port 80 cluster.json -o json
      netprobe explain shop/web shop/cart suite.yaml --diff | git apply
    """
    from netprobe.explain import document, explain_all, lines
    from netprobe.run.steps import advisor_of
    from netprobe.simulate import profile as profile_of

    chosen = profile_of(flags.profile)
    world = read_world(
        flags.inputs,
        flags.cluster,
        nothing="no policies given: use -f, --suite or --context",
    )
    if flags.step and world.suite is None:
        raise UsageError("--step needs --suite")
    found = world.cluster(flags.step)
    flows = _flows(found, world.externals, flags.source, flags.destination, flags.port)
    if flags.ip_family is not None:
        flows = tuple(replace(flow, family=options.FAMILIES[flags.ip_family]) for flow in flows)
    advisor = advisor_of(world.suite, world.live, chosen, flags.step)
    explanation = explain_all(advisor, flows)
    if flags.diff:
        return _diff(explanation)

    def text(style: Style) -> Iterator[str]:
        first, *rest = lines(explanation)
        yield style.paint(wrapped(first, style), COLOURS[explanation.verdict]) + "\n"
        for line in (*rest, *(f"warning: {warning}" for warning in found.warnings)):
            bare = line.lstrip(" ")
            yield wrapped(bare, style, " " * (len(line) - len(bare))) + "\n"

    write_either(flags.out, lambda: {**document(explanation), "problems": list(found.warnings)}, text)
    if explanation.qualified_by and not flags.ignore_unsimulated:
        return 3
    return 3 if explanation.verdict is Verdict.UNKNOWN else 0


def _flows(
    cluster: Cluster, outside: Sequence[External], source: str, destination: str, port: PortArgument | None
) -> tuple[Flow, ...]:
    """The flows in question: several if one of the ends is a workload with several pods."""
    from netprobe.simulate import named_flows

    _name_one(cluster, outside, source, "FROM")
    _name_one(cluster, outside, destination, "TO")
    found = named_flows(cluster, source, destination, port, outside)
    if len(found) > MOST_FLOWS:
        raise UsageError(f"{source} -> {destination}: {len(found)} flows are too many to explain; name a pod")
    return found


def _name_one(cluster: Cluster, outside: Sequence[External], text: str, name: str) -> None:
    """UsageError for a pattern that matches several ends, unless they are the pods of one workload."""
    from netprobe.simulate import ends

    found = ends(cluster, text, outside)
    workload = [
        pod.ref
        for pod in cluster.pods.values()
        if f"{pod.ref.namespace}/{(pod.workload or '').partition('/')[2]}" == text
    ]
    if len(found) > 1 and found != workload:
        some = ", ".join(map(str, found[:3]))
        raise UsageError(f"{name} {text}: matches {len(found)} ends, such as {some}; name one")


def _diff(explanation: Explanation) -> int:
    """Print the suggested change as a patch; 1 if there is none."""
    from netprobe.explain.text import suggestion
    from netprobe.manifests.unified import unified

    if explanation.change is None:
        say("no safe change reverses the verdict")
        return 1
    for line in suggestion(explanation.change):
        print(f"# {plain(line)}")
    for piece in unified(explanation.change.changes):
        print(piece, end="")
    return 0
