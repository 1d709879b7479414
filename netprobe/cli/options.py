"""Options that several commands share, spelled as kubectl spells them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from netprobe.errors import UsageError
from netprobe.model.flow import External, PodRef, Protocol

if TYPE_CHECKING:
    from netprobe.lab import LabOptions
    from netprobe.run.target import Target

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


class ReportFile(NamedTuple):
    """`--report FORMAT=PATH`; `path` None is standard output."""

    format: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class PortArgument:
    """`--port 53/udp`."""

    number: int
    protocol: Protocol = Protocol.TCP


class PortType(click.ParamType[PortArgument]):
    """ "80", "53/udp", "3868/SCTP"."""

    name = "port"

    def convert(
        self, value: str | PortArgument, param: click.Parameter | None, ctx: click.Context | None
    ) -> PortArgument:
        if isinstance(value, PortArgument):
            return value
        number, slash, protocol = value.partition("/")
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= 65535):
            self.fail(f"{value!r} is not a port: 1 to 65535, as in 80 or 53/udp", param, ctx)
        known = {member.value for member in Protocol}
        if slash and protocol.upper() not in known:
            self.fail(f"{value!r}: the protocol is tcp, udp or sctp", param, ctx)
        return PortArgument(int(number), Protocol(protocol.upper()) if slash else Protocol.TCP)


class DurationType(click.ParamType[float]):
    """Seconds from "30s", "1m30s", "500ms" or "30", as kubectl's --request-timeout; 0 is no limit."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", value)
        if not parts or "".join(map("".join, parts)) != value:
            self.fail(f"{value!r} is not a duration, such as 30s or 1m30s", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


class PodType(click.ParamType[PodRef]):
    """ "namespace/pod"."""

    name = "pod"

    def convert(
        self, value: str | PodRef, param: click.Parameter | None, ctx: click.Context | None
    ) -> PodRef:
        try:
            return value if isinstance(value, PodRef) else PodRef.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ExternalType(click.ParamType[External]):
    """ "203.0.113.7", "2001:db8::7"."""

    name = "address"

    def convert(
        self, value: str | External, param: click.Parameter | None, ctx: click.Context | None
    ) -> External:
        try:
            return value if isinstance(value, External) else External(ip_address(value))
        except ValueError:
            self.fail(f"{value!r} is not an address, such as 203.0.113.7", param, ctx)


class ReportType(click.ParamType[ReportFile]):
    """ "junit=reports/junit.xml"; the folder must exist, so that no run ends without its report.

    `known` are the formats that the command can write; those of a run's report if left out.
    """

    name = "FORMAT=PATH"

    def __init__(self, known: Sequence[str] | None = None) -> None:
        self._known = known

    def convert(
        self, value: str | ReportFile, param: click.Parameter | None, ctx: click.Context | None
    ) -> ReportFile:
        if isinstance(value, ReportFile):
            return value
        format_, equals, target = value.partition("=")
        known = formats() if self._known is None else self._known
        if not equals or not target or format_ not in known:
            self.fail(f"{value!r} is not FORMAT=PATH with a format of {', '.join(known)}", param, ctx)
        if target == "-":
            return ReportFile(format_, None)
        return ReportFile(format_, _writable(self, target, param, ctx))


class OutputFileType(click.ParamType[Path]):
    """A file to write; its folder must exist, so that the work is not done for nothing."""

    name = "PATH"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return _writable(self, str(value), param, ctx)


def _writable(
    type_: click.ParamType[Any], target: str, param: click.Parameter | None, ctx: click.Context | None
) -> Path:
    path = Path(target)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        type_.fail(f"cannot write {target}: not a file in a folder that can be written to", param, ctx)
    return path


def formats() -> Sequence[str]:
    from netprobe.report import FORMATS

    return FORMATS.names


def grouped(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Add options to a command; its help lists them in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def output_option(known: Sequence[str] | None = None) -> Callable[[F], F]:
    """-o/--output and --report: the format for standard output, and files to write.

    `known` are the formats that the command can write; those of a run's report if left out.
    """

    return grouped(
        click.option(
            "-o",
            "--output",
            type=click.Choice(formats() if known is None else known),
            default="table",
            show_default=True,
            help="Output format.",
        ),
        click.option(
            "--report",
            "reports",
            type=ReportType(known),
            multiple=True,
            metavar="FORMAT=PATH",
            help="Also write a report in this format to a file (- for standard output). Repeatable.",
        ),
    )


def ready_option(default: str) -> Callable[[F], F]:
    """--ready-timeout, in seconds."""
    return click.option(
        "--ready-timeout",
        "ready_s",
        type=DurationType(),
        default=default,
        show_default=True,
        help="How long to wait for pods to become ready.",
    )


def wait_option(function: F) -> F:
    """--probe-timeout, in seconds."""
    return click.option(
        "--probe-timeout",
        "wait_s",
        type=DurationType(),
        default="1s",
        show_default=True,
        help="How long to wait for an answer to one probe (nc -w).",
    )(function)


def filename_option(function: F) -> F:
    """-f/--filename: files, folders and - for standard input; several are one cluster."""
    return click.option(
        "-f",
        "--filename",
        "filenames",
        multiple=True,
        metavar="PATH",
        type=click.Path(allow_dash=True),
        help="File or folder of manifests, or - for standard input. Repeatable: all form one cluster.",
    )(function)


def cluster_options(function: F) -> F:
    """--kubeconfig, --context and --request-timeout (seconds, as `request_timeout_s`)."""
    return grouped(
        click.option(
            "--kubeconfig", metavar="PATH", type=click.Path(), help="Path to the kubeconfig file to use."
        ),
        click.option("--context", metavar="NAME", help="The name of the kubeconfig context to use."),
        click.option(
            "--request-timeout",
            "request_timeout_s",
            type=DurationType(),
            default="30s",
            show_default=True,
            help="How long to wait for a response of the API server; 0 means no limit.",
        ),
    )(function)


def lab_options(function: F) -> F:
    """--lab, and the --lab-* options of a lab that is started for the command.

    They arrive as `lab_name`, `lab_nodes`, `lab_no_enforcement`, `lab_lag`, `lab_deny_with`, as
    `resolve_target` takes them.
    """
    return grouped(
        click.option("--lab", "lab_name", metavar="NAME", help="Use the lab NAME (see `netprobe lab up`)."),
        click.option(
            "--lab-nodes",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Number of nodes of the lab made for this run.",
        ),
        click.option(
            "--lab-no-enforcement",
            is_flag=True,
            help="The lab accepts policies but does not enforce them, as some CNIs do.",
        ),
        click.option(
            "--lab-lag",
            type=DurationType(),
            default="0s",
            show_default=True,
            help="Delay before the lab enforces a change.",
        ),
        click.option(
            "--lab-deny-with",
            type=click.Choice(["drop", "reject"]),
            default="drop",
            show_default=True,
            help="How the lab denies a packet.",
        ),
    )(function)


def resolve_target(
    ctx: click.Context,
    kubeconfig: str | None,
    context: str | None,
    *,
    lab_name: str | None,
    lab_nodes: int,
    lab_no_enforcement: bool,
    lab_lag: float,
    lab_deny_with: str,
) -> tuple[Target, LabOptions]:
    """The cluster that `cluster_options` and `lab_options` name, and the lab to start.

    UsageError where they name two clusters, or where they ask a real one for a lab's faults.
    """
    from netprobe.lab import LabOptions
    from netprobe.run.target import Target

    target = Target(kubeconfig, context, ctx.obj.plugin, lab_name)
    if lab_name and (kubeconfig or context):
        raise UsageError("--lab and --kubeconfig/--context name two different clusters: use one of them")
    faults = [
        name
        for name in ("lab_nodes", "lab_no_enforcement", "lab_lag", "lab_deny_with")
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    if faults and not target.is_ephemeral_lab:
        raise UsageError(
            f"--{faults[0].replace('_', '-')} needs a lab made for this run, not an existing cluster"
        )
    options = LabOptions(
        nodes=lab_nodes,
        enforce=not lab_no_enforcement,
        lag_s=lab_lag,
        deny_with="reject" if lab_deny_with == "reject" else "drop",
    )
    return target, options


def port_option(function: F) -> F:
    """--port, repeatable, as `ports`."""
    return click.option(
        "--port",
        "ports",
        type=PortType(),
        multiple=True,
        metavar="PORT[/PROTOCOL]",
        help="Port to check, as in 80 or 53/udp. Repeatable.",
    )(function)


def profile_option(function: F) -> F:
    """--profile: what to answer where the API leaves the behaviour undefined."""
    return click.option(
        "--profile",
        metavar="NAME",
        default="calico",
        show_default=True,
        help="CNI behaviour to assume where the API leaves it undefined.",
    )(function)


def examples(text: str) -> Callable[[F], F]:
    """Put examples below the options of a command's help, each line as it stands."""

    def decorate(function: F) -> F:
        lines = "\n".join(f"  {line}" if line else "" for line in text.strip().splitlines())
        # \b keeps click from filling the paragraph.
        function.__doc__ = f"{cleandoc(function.__doc__ or '')}\n\n\b\nExamples:\n{lines}\n"
        return function

    return decorate
