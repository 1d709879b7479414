"""`netprobe lab`: a small cluster on this machine, for kubectl."""

from __future__ import annotations

from dataclasses import dataclass

import click

from netprobe.cli import complete, lab_trace, options
from netprobe.cli.command import Group
from netprobe.cli.emit import write
from netprobe.cli.invoke import say
from netprobe.cli.lab_trace import DEFAULT, lab_option
from netprobe.cli.parameters import EXTERNAL, PORT_NUMBER
from netprobe.cli.streams import ensure_open_files
from netprobe.errors import UsageError
from netprobe.model.flow import External, Protocol


@dataclass(frozen=True, slots=True)
class NamedLab(options.Flags):
    """NAME or --lab NAME."""

    argument: str | None = options.argument(required=False, metavar="[NAME]", shell_complete=complete.labs)
    option: str | None = options.option(
        "--lab",
        metavar="NAME",
        shell_complete=complete.labs,
        help=f"The same as NAME.  [default: {DEFAULT}]",
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
    nodes: int = options.option("--nodes", metavar="N", type=int, default=1, help="Number of nodes.")
    no_enforcement: bool = options.flag(
        "--no-enforcement", "Accept policies but enforce none, as some CNIs do."
    )
    lag_s: float = options.duration(
        "--lag", default="0s", help="Enforce each change of policies this much later."
    )
    deny_with: str = options.option(
        "--deny-with",
        type=click.Choice(["drop", "reject"]),
        default="drop",
        help="What to do with a denied packet.",
    )
    ip_family: str = options.option(
        "--ip-family",
        type=click.Choice(["ipv4", "ipv6", "dual"]),
        default="ipv4",
        help="Address families of the pods.",
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


@dataclass(frozen=True, slots=True)
class KubeconfigFlags(options.Flags):
    lab: NamedLab = options.nested(NamedLab)


@options.as_command(KubeconfigFlags, parent=command)
def kubeconfig(flags: KubeconfigFlags) -> None:
    """Print the path of a lab's kubeconfig.

    Examples:
      export KUBECONFIG=$(netprobe lab kubeconfig)
      kubectl --kubeconfig $(netprobe lab kubeconfig two) get pods -A
    """
    from netprobe.run.target import kubeconfig_of

    print(kubeconfig_of(flags.lab.name))


@dataclass(frozen=True, slots=True)
class AddHostFlags(options.Flags):
    host: str = options.argument(metavar="NAME")
    addresses: tuple[External, ...] = options.argument(metavar="ADDRESS...", nargs=-1, type=EXTERNAL)
    ports: tuple[tuple[int, Protocol], ...] = options.repeatable(
        "--port",
        type=PORT_NUMBER,
        metavar="PORT[/PROTOCOL]",
        help="A port that the host serves, such as 443 or 53/udp.",
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


command.add_command(lab_trace.command)
