"""`netprobe lab`: a small cluster on this machine, for kubectl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from netprobe.cli import complete, options
from netprobe.cli.command import Group
from netprobe.cli.emit import write, write_either
from netprobe.cli.invoke import say
from netprobe.cli.parameters import EXTERNAL, PORT, PORT_NUMBER, PortArgument
from netprobe.cli.streams import ensure_open_files
from netprobe.errors import UsageError
from netprobe.model.flow import External, PodRef, Protocol

DEFAULT = "default"


def lab_option() -> Any:
    """--lab, by default the lab of that name."""
    return options.option(
        "--lab NAME",
        "The lab; several can run at the same time.",
        default=DEFAULT,
        shell_complete=complete.labs,
    )


@dataclass(frozen=True, slots=True)
class NamedLab(options.Flags):
    argument: str | None = options.argument(required=False, metavar="[NAME]", shell_complete=complete.labs)
    option: str | None = options.option(
        "--lab NAME", f"The same as NAME.  [default: {DEFAULT}]", shell_complete=complete.labs
    )

    @property
    def name(self) -> str:
        if self.argument and self.option and self.argument != self.option:
            raise UsageError(f"{self.argument} and --lab {self.option} are two labs: name one")
        return self.argument or self.option or DEFAULT


@click.group(cls=Group)
def command() -> None:
    """A small cluster on this machine: real packets, no images, up in about a second.

    Pods are network namespaces and policies are nftables rules, behind a Kubernetes-compatible API. Images
    are not run: the lab itself serves each pod's declared ports. No packet leaves the machine.

    Examples:
      netprobe lab up && export KUBECONFIG=$(netprobe lab kubeconfig)
      kubectl apply -f manifests/two-tier/policies/
      netprobe run --lab default suite.yaml
      netprobe lab down
    """


@dataclass(frozen=True, slots=True)
class UpFlags(options.Flags):
    lab: NamedLab = options.nested(NamedLab)
    nodes: int = options.option("--nodes N", "Number of nodes.", type=int, default=1)
    no_enforcement: bool = options.flag(
        "--no-enforcement", "Accept policies but enforce none, as some CNIs do."
    )
    lag_s: float = options.duration("--lag", "Enforce each change of policies this much later.", default="0s")
    deny_with: str = options.option(
        "--deny-with",
        "What to do with a denied packet.",
        type=click.Choice(["drop", "reject"]),
        default="drop",
    )
    ip_family: str = options.option(
        "--ip-family",
        "Address families of the pods.",
        type=click.Choice(["ipv4", "ipv6", "dual"]),
        default="ipv4",
    )


@options.as_command(UpFlags, parent=command)
def up(flags: UpFlags) -> None:
    """Start a lab; it runs until `netprobe lab down`.

    Examples:
      netprobe lab up && export KUBECONFIG=$(netprobe lab kubeconfig)
      netprobe lab up two --nodes 2 --ip-family dual
    """
    from netprobe.lab import LabOptions, start
    from netprobe.lab.options import IPFamily

    ensure_open_files()
    families: dict[str, tuple[IPFamily, ...]] = {
        "ipv4": ("ipv4",),
        "ipv6": ("ipv6",),
        "dual": ("ipv4", "ipv6"),
    }
    running = start(
        LabOptions(
            name=flags.lab.name,
            nodes=flags.nodes,
            ip_families=families[flags.ip_family],
            enforce=not flags.no_enforcement,
            lag_s=flags.lag_s,
            deny_with="reject" if flags.deny_with == "reject" else "drop",
        )
    )
    say(f"lab {flags.lab.name} is running; to use it:")
    print(f"export KUBECONFIG={running.kubeconfig}")
    name = flags.lab.name
    say(f"`netprobe run --lab {name} SUITE` probes on it; `netprobe lab down {name}` stops it")


@dataclass(frozen=True, slots=True)
class DownFlags(options.Flags):
    lab: NamedLab = options.nested(NamedLab)
    everything: bool = options.flag("--all", "Stop every lab of this user.")


@options.as_command(DownFlags, parent=command)
def down(flags: DownFlags) -> None:
    """Stop a lab and remove everything in it.

    Examples:
      netprobe lab down          # the lab default
      netprobe lab down two
      netprobe lab down --all
    """
    from netprobe.lab import list_labs, stop

    names = [one.name for one in list_labs()] if flags.everything else [flags.lab.name]
    for one in names:
        stop(one)
        say(f"lab {one} stopped")
    if not names:
        say("no lab was running")


@dataclass(frozen=True, slots=True)
class StatusFlags(options.Flags):
    out: options.OutputFlags = options.output(("table", "json", "name"), reports=False)


@options.as_command(StatusFlags, parent=command)
def status(flags: StatusFlags) -> int:
    """List the labs of this user; exit status 3 if none runs.

    Examples:
      netprobe lab status
      netprobe lab status -o name
    """
    import json

    from netprobe.lab import list_labs
    from netprobe.report.tables import grid

    labs = [
        {
            "name": lab.name,
            "health": lab.health.value,
            "pid": lab.pid,
            "nodes": lab.options.nodes,
            "kubeconfig": str(lab.kubeconfig),
        }
        for lab in list_labs()
    ]
    columns = ["name", "health", "nodes", "kubeconfig"]
    rows = [[lab[name] for name in columns] for lab in labs]
    text = {
        "json": json.dumps(labs, indent=2),
        "name": "\n".join(str(lab["name"]) for lab in labs),
        "table": grid([name.title() for name in columns], rows),
    }
    if labs or flags.out.output == "json":
        write(lambda format_, _style: [text[format_] + "\n"], flags.out)
    else:
        say("no lab is running; netprobe lab up starts one")
    return 0 if labs else 3


@options.as_command(NamedLab, parent=command)
def kubeconfig(lab: NamedLab) -> None:
    """Print the path of a lab's kubeconfig.

    Examples:
      export KUBECONFIG=$(netprobe lab kubeconfig)
      kubectl --kubeconfig $(netprobe lab kubeconfig two) get pods -A
    """
    from netprobe.run.target import kubeconfig_of

    print(kubeconfig_of(lab.name))


@dataclass(frozen=True, slots=True)
class AddHostFlags(options.Flags):
    host: str = options.argument(metavar="NAME")
    addresses: tuple[External, ...] = options.argument(metavar="ADDRESS...", nargs=-1, type=EXTERNAL)
    ports: tuple[tuple[int, Protocol], ...] = options.repeatable(
        "--port PORT[/PROTOCOL]", "A port that the host serves, such as 443 or 53/udp.", type=PORT_NUMBER
    )
    remove: bool = options.flag("--remove", "Remove the host.")
    name: str = lab_option()


@options.as_command(AddHostFlags, parent=command, name="add-host")
def add_host(flags: AddHostFlags) -> None:
    """Add a host outside the cluster to a lab: an address that no selector matches, with open ports.

    It is the pod NAME of the namespace netprobe-outside, so kubectl exec works there too.

    Examples:
      netprobe lab add-host partner 203.0.113.50 --port 443
      netprobe lab add-host partner --remove
    """
    from netprobe.cli.signals import run_async
    from netprobe.run import running_lab
    from netprobe.run.target import kubeconfig_of

    if flags.remove == bool(flags.addresses):
        raise UsageError("give the addresses of a new host, or --remove")
    kubeconfig = kubeconfig_of(flags.name)
    if flags.remove:
        run_async(running_lab.remove_host(kubeconfig, flags.host))
        say(f"external host {flags.host} removed")
    else:
        run_async(running_lab.add_host(kubeconfig, flags.host, flags.addresses, flags.ports))
        addresses = ", ".join(map(str, flags.addresses))
        say(f"external host {flags.host} added: {addresses}, pod netprobe-outside/{flags.host}")


@dataclass(frozen=True, slots=True)
class TraceFlags(options.Flags):
    source: str = options.argument(metavar="FROM")
    target: str = options.argument(metavar="TO")
    port: PortArgument = options.option(
        "--port PORT[/PROTOCOL]", "Port to connect to: 80, 53/udp, or a name.", type=PORT, required=True
    )
    ip_family: str | None = options.family()
    name: str = lab_option()
    out: options.OutputFlags = options.output(("table", "json"))


@options.as_command(TraceFlags, parent=command)
def trace(flags: TraceFlags) -> int:
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
    traced = run_async(_traces(kubeconfig_of(flags.name), flags.source, flags.target, flags.port, version))
    tables = [_trace_table(one, one.pop("pods")) for one in traced]
    write_either(
        flags.out,
        lambda: traced[0] if len(traced) == 1 else traced,
        lambda _style: ["\n\n".join(tables) + "\n"],
    )
    return 0


async def _traces(
    kubeconfig: str, source: str, target: str, port: PortArgument, version: int
) -> list[dict[str, Any]]:
    """Trace all connections between the ends of these names, one after the other."""
    from netprobe.kube import connect
    from netprobe.run import running_lab

    async with connect(kubeconfig) as cluster:
        return [
            await running_lab.trace(
                cluster, each.source, str(each.destination), each.port, each.protocol, version=version
            )
            for each in await running_lab.wanted(cluster, source, target, port)
            if isinstance(each.source, PodRef)
        ]


def _trace_table(traced: dict[str, Any], pods: dict[str, str]) -> str:
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
