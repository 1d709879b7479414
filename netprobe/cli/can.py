"""`netprobe can`: yes or no, for scripts."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from netprobe.cli import complete, options
from netprobe.cli.command import invocation
from netprobe.cli.emit import write_either
from netprobe.cli.flags import ClusterFlags, PodFlags
from netprobe.cli.inputs import InputFlags, read_world
from netprobe.cli.invoke import say
from netprobe.cli.parameters import Parameter, PortArgument, port
from netprobe.errors import UnknownVerdictError, UsageError
from netprobe.model.flow import Protocol
from netprobe.report.style import BOLD_BAD, BOLD_GOOD, BOLD_UNSURE

if TYPE_CHECKING:
    from netprobe.debug import Answer

ANSWERS = {0: ("yes", BOLD_GOOD), 1: ("no", BOLD_BAD), 3: ("unknown", BOLD_UNSURE)}
"""By exit status."""


class Target(NamedTuple):
    """An end and its port, as in `shop/db:5432`; without a port, the only one that the end declares."""

    end: str
    port: PortArgument | None


def end(text: str) -> str:
    """The text without the brackets of an IPv6 address."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def target(text: str) -> Target:
    """ "shop/db:5432", "203.0.113.7:443", "[2001:db8::7]:443", "a/b:53/udp"; the port is optional."""
    if not text.startswith("[") and _is_address(text):
        return Target(text, None)
    name, colon, number = text.rpartition(":")
    if not colon or not name or name == "svc" or (text.startswith("[") and not name.endswith("]")):
        return Target(end(text), None)
    if name.count(":") > 1 and not name.startswith("["):
        raise ValueError(f"{text!r}: write an IPv6 address with a port as [ADDRESS]:PORT")
    return Target(end(name), port(number))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class CanFlags(options.Flags):
    source: str = options.argument(metavar="FROM", shell_complete=complete.pods)
    destination: Target = options.argument(metavar="TO[:PORT]", type=Parameter("TO[:PORT]", target))
    inputs: InputFlags = options.nested(InputFlags)
    cluster: ClusterFlags = options.nested(ClusterFlags)
    live: bool = options.flag("--live", "Send a packet instead of evaluating policies; needs a cluster.")
    ip_family: str | None = options.family()
    profile: str = options.profile()
    pods: PodFlags = options.nested(PodFlags)
    out: options.OutputFlags = options.output(("text", "json"), reports=False)


@options.as_command(CanFlags)
def command(flags: CanFlags) -> int:
    """Print whether FROM can connect to TO: yes, no or unknown.

    FROM and TO are NAMESPACE/POD, NAMESPACE/WORKLOAD or an address; TO may also be svc:NAMESPACE/SERVICE. The
    port is optional if TO declares only one.

    Simulates the policies of manifests, a suite or a live cluster. With --live, sends a packet in the cluster
    instead, from a pod with FROM's labels on FROM's node. Prints the reason on standard error.

    Exit status: 0 yes, 1 no, 2 unusable input, 3 unknown.

    Examples:
      netprobe can shop/web shop/db:5432 manifests/ && echo open
      netprobe can shop/web kube-system/coredns:53/udp --context staging
      netprobe can shop/web [2001:db8::7]:443 -f cluster.yaml
      netprobe can shop/web svc:shop/db:5432 --context staging --live
    """
    if flags.live:
        if flags.ip_family is not None:
            raise UsageError("--live sends to every address of TO: it takes no --ip-family")
        status, reason = _probed(flags)
        warnings: tuple[str, ...] = ()
    else:
        status, reason, warnings = _simulated(flags)
    answer, colour = ANSWERS[status]

    number, protocol = flags.destination.port or (None, None)
    document = {
        "from": flags.source,
        "to": flags.destination.end,
        "port": number,
        "protocol": protocol.value if protocol else None,
        "answer": answer,
        "reason": reason or None,
        "problems": list(warnings),
    }
    write_either(flags.out, lambda: document, lambda style: [style.paint(answer, colour) + "\n"])
    for sentence in (reason, *(f"warning: {warning}" for warning in warnings)):
        if sentence and flags.out.output == "text":
            say(sentence)
    return status


def _simulated(flags: CanFlags) -> tuple[int, str, tuple[str, ...]]:
    """The exit status, the reason unless it is 0, and what qualifies the answer."""
    from netprobe.api import Cluster
    from netprobe.explain import explain, lines
    from netprobe.simulate import Simulator
    from netprobe.simulate import profile as profile_of

    world = read_world(flags.inputs, flags.cluster, nothing="no policies given: use -f, --suite or --context")
    read = Cluster(world.cluster(), profile_of(flags.profile), world.externals)
    number, protocol = flags.destination.port or (None, Protocol.TCP)
    question = (end(flags.source), flags.destination.end, number, protocol.value)
    try:
        if read.can(*question, family=options.FAMILIES[flags.ip_family]):
            return 0, "", read.model.warnings
    except UnknownVerdictError as error:
        return 3, str(error), read.model.warnings
    flow = read.flows(*question, family=options.FAMILIES[flags.ip_family])[0]
    first, *_ = lines(explain(Simulator(read.model, read.profile), flow, suggest=False))
    return 1, first, read.model.warnings


def _probed(flags: CanFlags) -> tuple[int, str]:
    """The status and the reason, from packets; the pods that sent them are removed."""
    from netprobe.cli.progress import run_with_progress
    from netprobe.debug import Request, debug
    from netprobe.run.cluster import RunOptions
    from netprobe.simulate import profile as profile_of

    inputs, cluster = flags.inputs, flags.cluster
    if inputs.paths or inputs.filenames or inputs.suite_path:
        raise UsageError("--live sends packets in a cluster: it takes no manifests")
    if not (cluster or invocation().plugin):
        raise UsageError("--live needs a cluster: use --context, --kubeconfig or --lab")
    wanted = RunOptions(
        cluster.choice(current=invocation().plugin),
        pods=flags.pods.options(),
        profile=profile_of(flags.profile),
        request_timeout_s=cluster.request_timeout_s,
    )
    number, protocol = flags.destination.port or (None, None)
    if isinstance(number, str):
        raise UsageError("--live takes the number of a port, not its name")
    request = Request(end(flags.source), flags.destination.end, number, protocol, options=wanted)
    answer = run_with_progress(lambda progress: debug(request, progress, lambda _: None))
    causes = [cause for _, cause in answer.causes if not cause.over]
    if answer.connects:
        return 0, ""
    return (1, causes[0].text) if causes else (3, answer.unsent or undecided(answer))


def undecided(answer: Answer) -> str:
    """What was seen of a flow that does not connect, if no cause is proven."""
    from netprobe.debug import StepStatus

    seen = "; ".join(
        f"{step.name}: {step.text}"
        for step in answer.steps
        if step.status in {StepStatus.PROBLEM, StepStatus.UNKNOWN}
    )
    return f"it did not connect, and no cause is proven ({seen}): netprobe debug shows each step"
