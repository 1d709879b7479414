"""`netprobe lab trace`: one connection, and what the rules of the lab counted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netprobe.cli import complete, options
from netprobe.cli.emit import write_either
from netprobe.cli.parameters import PORT, PortArgument
from netprobe.errors import UsageError
from netprobe.model.flow import PodRef, Protocol

DEFAULT = "default"


def lab_option() -> Any:
    """--lab, by default the lab of that name."""
    return options.option(
        "--lab",
        metavar="NAME",
        default=DEFAULT,
        shell_complete=complete.labs,
        help="The lab; several can run at the same time.",
    )


@dataclass(frozen=True, slots=True)
class LabTraceFlags(options.Flags):
    source: str = options.argument(metavar="FROM")
    target: str = options.argument(metavar="TO")
    port: PortArgument = options.option(
        "--port",
        type=PORT,
        required=True,
        metavar="PORT[/PROTOCOL]",
        help="Port to connect to: 80, 53/udp, or a name.",
    )
    ip_family: str | None = options.family()
    name: str = lab_option()
    out: options.OutputFlags = options.output(("table", "json"))


@options.as_command(LabTraceFlags, name="trace")
def command(flags: LabTraceFlags) -> int:
    """Try one connection on a lab, and show which policy and rule allowed or denied it.

    FROM and TO are NAMESPACE/POD or NAMESPACE/WORKLOAD (all its pods); TO may also be
    svc:NAMESPACE/SERVICE or an address. The output comes from the kernel's counters. To evaluate the policies
    instead, use `netprobe explain`.

    Examples:
      netprobe lab trace shop/web shop/api --port 8080
      netprobe lab trace shop/web svc:shop/api --port 80 -o json
      netprobe lab trace netprobe-outside/partner 10.244.1.3 --port 53/udp
    """
    from netprobe.cli.signals import run_async
    from netprobe.lab.trace import parse_target
    from netprobe.run.target import kubeconfig_of

    if flags.port.protocol is Protocol.SCTP:
        raise UsageError("SCTP cannot be traced: agnhost connect does not support it in the lab")
    try:
        parse_target(flags.target)
    except ValueError as error:
        raise UsageError(str(error)) from error
    version = options.FAMILIES[flags.ip_family] or 0
    traced = run_async(_trace(kubeconfig_of(flags.name), flags.source, flags.target, flags.port, version))
    tables = [_table(one, one.pop("pods")) for one in traced]
    write_either(
        flags.out,
        lambda: traced[0] if len(traced) == 1 else traced,
        lambda _style: ["\n\n".join(tables) + "\n"],
    )
    return 0


async def _trace(
    kubeconfig: str, source: str, target: str, port: PortArgument, version: int
) -> list[dict[str, Any]]:
    """The traces of all connections that the names stand for, one after the other."""
    from netprobe.kube import connect
    from netprobe.run.running_lab import trace, wanted

    async with connect(kubeconfig) as cluster:
        return [
            await trace(
                cluster, each.source, str(each.destination), each.port, each.protocol, version=version
            )
            for each in await wanted(cluster, source, target, port)
            if isinstance(each.source, PodRef)
        ]


def _table(traced: dict[str, Any], pods: dict[str, str]) -> str:
    from netprobe.report.tables import grid

    flow = f"{traced['from']} -> {traced['to']} {traced['port']}/{traced['protocol']}"
    first = f"{flow}: {traced['outcome']}\n"
    if not traced["steps"]:
        return f"{first}it never left the pod"
    rows = [
        [step["stage"], step["node"], step["packets"] or "", _what(step, pods)] for step in traced["steps"]
    ]
    return first + grid(["Stage", "Node", "Packets", "What the rules counted"], rows)


def _what(step: dict[str, Any], pods: dict[str, str]) -> str:
    by, to = step["by"], step["to"] or ""
    match step["effect"]:
        case "translated":
            pod = pods.get(to.rpartition(":")[0].strip("[]"))
            return f"Service {by} -> {to}" + (f" ({pod})" if pod else "")
        case "refused" | "dropped":
            return f"Service {by}: {step['effect']}, no endpoint for it"
        case "allowed" | "denied" as effect if by:
            places = [f"{key} {step[key]}" for key in ("rule", "peer", "port") if step[key] is not None]
            return f"{effect} by {by}: {', '.join(places)}"
        case "denied":
            return f"denied: isolated by {', '.join(step['isolating'])}, and no rule lets it pass"
        case "not seen":
            return "no rule counted it: the packet did not arrive"
        case effect:
            return str(effect)
