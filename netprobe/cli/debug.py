"""`netprobe debug`: find out why traffic is blocked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.cli import complete, options
from netprobe.cli.command import invocation
from netprobe.cli.emit import write_either
from netprobe.cli.flags import ClusterFlags, PodFlags
from netprobe.cli.invoke import say
from netprobe.cli.parameters import PORT_NUMBER
from netprobe.errors import ClusterError, UsageError
from netprobe.model.flow import Protocol
from netprobe.report.style import BAD, BOLD, GOOD, NOTE, UNSURE, Style, wrapped

if TYPE_CHECKING:
    from netprobe.debug import Answer, Request


@dataclass(frozen=True, slots=True)
class DebugFlags(options.Flags):
    source: str = options.argument(metavar="FROM", shell_complete=complete.pods)
    destination: str = options.argument(metavar="TO", shell_complete=complete.destinations)
    port: tuple[int, Protocol] | None = options.option(
        "--port PORT[/PROTOCOL]",
        "Port: 80 or 53/udp. Optional if TO is a URL or declares only one port.",
        type=PORT_NUMBER,
    )
    no_probe: bool = options.flag("--no-probe", "Only read the cluster; create and send nothing.")
    ephemeral: bool = options.flag(
        "--ephemeral",
        "Send from an ephemeral container in the real pod, not from a shadow pod; if a pod refuses, read "
        "there what it listens on. The containers cannot be removed: they stay in the pods, terminated.",
    )
    disturb: bool = options.flag("--disturb", "Create the shadow pod even if it disturbs another workload.")
    watch: bool = options.flag("--watch", "Repeat until the result changes, and print when it did.")
    filenames: Sequence[str] = options.manifests()
    cluster: ClusterFlags = options.nested(ClusterFlags)
    pods: PodFlags = options.nested(PodFlags)
    profile: str = options.profile()
    wait_s: float = options.wait()
    ready_s: float = options.ready("30s")
    out: options.OutputFlags = options.output(("text", "json"), reports=False)


@options.as_command(DebugFlags)
def command(flags: DebugFlags) -> int:
    """Find out why FROM cannot reach TO: one cause, the earliest on the path, with its fix.

    FROM is NAMESPACE/POD, NAMESPACE/WORKLOAD, a NAMESPACE (any of its pods), or an address outside (nothing
    is sent from there). TO is NAMESPACE/POD, NAMESPACE/WORKLOAD, svc:NAMESPACE/SERVICE, a DNS name, an
    address, or a URL.

    Reads the cluster, and sends packets from pods that no policy selects and from a shadow pod with FROM's
    labels on FROM's node. Removes these pods after the answer. With -f it only reads manifests.

    Exit status: 0 it connects, 1 a cause was found, 2 unusable input, 3 could not tell.

    Examples:
      netprobe debug shop/web svc:shop/db --port 5432 --context prod
      netprobe debug shop/web http://api.shop:8080/health --context prod
      netprobe debug shop/web-0 shop/db-0 --port 5432 --lab default -o json
      netprobe debug shop 203.0.113.50 --port 443 --context prod --ephemeral
      netprobe debug shop/web svc:shop/db --port 5432 -f manifests/
    """
    from netprobe.debug import Request
    from netprobe.probe import Deadlines, Pace
    from netprobe.run.cluster import RunOptions
    from netprobe.simulate import profile as profile_of

    live = bool(flags.cluster) or invocation().plugin
    if flags.filenames and bool(flags.cluster):
        raise UsageError("--context names another cluster than -f: use one of them")
    if not flags.filenames and not live:
        raise UsageError("no cluster given: use --context, --kubeconfig or --lab, or -f for manifests")
    for name, given in (("--ephemeral", flags.ephemeral), ("--watch", flags.watch)):
        if given and flags.filenames:
            raise UsageError(f"{name} needs a cluster, not manifests")
    if flags.no_probe and flags.ephemeral:
        raise UsageError("--no-probe sends nothing, and --ephemeral sends from the pod: use one of them")
    request = Request(
        flags.source,
        flags.destination,
        flags.port[0] if flags.port else None,
        flags.port[1] if flags.port else None,
        probe=not flags.no_probe,
        ephemeral=flags.ephemeral,
        disturb=flags.disturb,
        options=RunOptions(
            flags.cluster.choice(current=invocation().plugin),
            pods=flags.pods.options(),
            deadlines=Deadlines(ready_s=flags.ready_s),
            pace=Pace(wait_s=flags.wait_s),
            profile=profile_of(flags.profile),
            request_timeout_s=flags.cluster.request_timeout_s,
        ),
        say=say,
    )
    return (
        _files(request, flags.filenames, flags.out)
        if flags.filenames
        else _live(request, flags.out, watch=flags.watch)
    )


def _files(request: Request, filenames: Sequence[str], out: options.OutputFlags) -> int:
    from netprobe.debug import debug_files

    answer = debug_files(request, filenames)
    _print(answer, out)
    return answer.exit_status


def _live(request: Request, out: options.OutputFlags, *, watch: bool) -> int:
    """Print the answer before the pods are removed; a failed removal is a message after it."""
    from netprobe.cli.progress import run_with_progress
    from netprobe.debug import debug
    from netprobe.debug import watch as watch_until

    printed: list[Answer] = []

    def on_answer(answer: Answer, after_s: float | None = None) -> None:
        if after_s is not None:
            say(f"the result changed after {after_s:.0f} s")
        printed.append(answer)
        _print(answer, out)

    try:
        run_with_progress(
            lambda progress: (
                watch_until(request, progress, on_answer) if watch else debug(request, progress, on_answer)
            )
        )
    except ClusterError as error:
        if not printed:
            raise
        say(str(error))
    return printed[-1].exit_status


def _print(answer: Answer, out: options.OutputFlags) -> None:
    from netprobe.debug import LABEL_WIDTH, STEP_WIDTH, StepStatus, document, lines

    colours = {
        StepStatus.OK: GOOD,
        StepStatus.PROBLEM: BAD,
        StepStatus.UNKNOWN: UNSURE,
        StepStatus.SKIPPED: NOTE,
    }

    def text(style: Style) -> Iterator[str]:
        for status, line in lines(answer):
            if status is None:
                shown = wrapped(line, style, hang=" " * LABEL_WIDTH)
                label = re.match(r"\w+:", shown)
                painted, code = label.end() if label else 0, BOLD
            else:
                shown = wrapped(line, style, hang=" " * STEP_WIDTH)
                painted, code = len(status.value), colours[status]
            yield style.paint(shown[:painted], code) + shown[painted:] + "\n"

    write_either(out, lambda: document(answer), text)
