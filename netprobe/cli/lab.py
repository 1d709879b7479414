"""`netprobe lab`: a small cluster on this machine, for kubectl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from netprobe.cli import complete, lab_trace
from netprobe.cli.command import Group
from netprobe.cli.emit import write
from netprobe.cli.invoke import say
from netprobe.cli.lab_trace import DEFAULT, lab_option
from netprobe.cli.options import (
    OutputFlags,
    as_record,
    duration_option,
    examples,
    flag,
    output_options,
    repeatable,
)
from netprobe.cli.parameters import EXTERNAL, PORT_NUMBER
from netprobe.cli.streams import ensure_open_files
from netprobe.errors import UsageError
from netprobe.model.flow import External, Protocol


@dataclass(frozen=True, slots=True)
class NamedLab:
    """NAME or --lab NAME."""

    argument: str | None
    option: str | None

    @property
    def name(self) -> str:
        if self.argument and self.option and self.argument != self.option:
            raise UsageError(f"{self.argument} and --lab {self.option} are two labs: name one")
        return self.argument or self.option or DEFAULT


named_lab: Final = as_record(
    "lab",
    NamedLab,
    click.argument("argument", required=False, metavar="[NAME]", shell_complete=complete.labs),
    click.option(
        "--lab",
        "option",
        metavar="NAME",
        shell_complete=complete.labs,
        help=f"The same as NAME. Default: {DEFAULT}.",
    ),
)


@click.group(cls=Group)
def command() -> None:
    """A small cluster on this machine: real packets, no images, up in about a second.

    Pods are network namespaces, policies are nftables rules in the kernel, behind a Kubernetes-compatible
    API. Images are not run: each pod's declared ports are served. Nothing leaves the machine.
    """


@command.command()
@named_lab
@click.option("--nodes", type=int, default=1, help="Number of nodes; traffic between them is routed.")
@flag("--no-enforcement", "Accept policies but enforce none, as some CNIs do.")
@duration_option("--lag", "lag_s", default="0s", help="Enforce each change of policies this much later.")
@click.option(
    "--deny-with",
    type=click.Choice(["drop", "reject"]),
    default="drop",
    help="What to do with a packet that no policy allows.",
)
@click.option(
    "--ip-family",
    type=click.Choice(["ipv4", "ipv6", "dual"]),
    default="ipv4",
    help="The addresses of pods.",
)
@examples("""
netprobe lab up && export KUBECONFIG=$(netprobe lab kubeconfig)
netprobe lab up two --nodes 2 --ip-family dual
""")
def up(
    *, lab: NamedLab, nodes: int, no_enforcement: bool, lag_s: float, deny_with: str, ip_family: str
) -> None:
    """Start a lab; it runs until `netprobe lab down`."""
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
            name=lab.name,
            nodes=nodes,
            ip_families=families[ip_family],
            enforce=not no_enforcement,
            lag_s=lag_s,
            deny_with="reject" if deny_with == "reject" else "drop",
        )
    )
    say(f"lab {lab.name} is running; to use it:")
    print(f"export KUBECONFIG={running.kubeconfig}")
    say(f"netprobe run --lab {lab.name} SUITE probes on it; netprobe lab down {lab.name} ends it")


@command.command()
@named_lab
@flag("--all", "Stop every lab of this user.", "everything")
def down(*, lab: NamedLab, everything: bool) -> None:
    """Stop a lab and remove everything in it."""
    from netprobe.lab import list_labs, stop

    names = [one.name for one in list_labs()] if everything else [lab.name]
    for one in names:
        stop(one)
        say(f"lab {one} stopped")
    if not names:
        say("no lab was running")


@command.command()
@output_options(("table", "json", "name"), reports=False)
def status(out: OutputFlags) -> int:
    """List the labs of this user; exit status 3 if none runs."""
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
    if labs or out.output == "json":
        write(lambda format_, _style: [text[format_] + "\n"], out)
    else:
        say("no lab is running; netprobe lab up starts one")
    return 0 if labs else 3


@command.command()
@named_lab
def kubeconfig(*, lab: NamedLab) -> None:
    """Print the path of a lab's kubeconfig."""
    from netprobe.run.target import kubeconfig_of

    print(kubeconfig_of(lab.name))


@command.command("add-host")
@click.argument("host", metavar="NAME")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, type=EXTERNAL)
@repeatable(
    "--port",
    "ports",
    type=PORT_NUMBER,
    metavar="PORT[/PROTOCOL]",
    help="A port that the host serves, such as 443 or 53/udp.",
)
@flag("--remove", "Remove the host.")
@lab_option
@examples("""
netprobe lab add-host partner 203.0.113.50 --port 443
netprobe lab add-host partner --remove
""")
def add_host(
    host: str,
    addresses: tuple[External, ...],
    ports: tuple[tuple[int, Protocol], ...],
    remove: bool,
    name: str,
) -> None:
    """Add a host outside the cluster to a lab: an address that no selector matches, with open ports.

    It is the pod NAME of the namespace netprobe-outside, so kubectl exec works there too.
    """
    from netprobe.cli.signals import run_async
    from netprobe.run import lab_host
    from netprobe.run.target import kubeconfig_of

    if remove == bool(addresses):
        raise UsageError("give the addresses of a new host, or --remove")
    kubeconfig = kubeconfig_of(name)
    if remove:
        run_async(lab_host.remove_host(kubeconfig, host))
        say(f"external host {host} removed")
    else:
        run_async(lab_host.add_host(kubeconfig, host, addresses, ports))
        say(f"external host {host} added: {', '.join(map(str, addresses))}, pod netprobe-outside/{host}")


command.add_command(lab_trace.command)
