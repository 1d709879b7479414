"""The group of all commands, and the table that lists them."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pathlib import PurePath

import click

from netprobe import __version__
from netprobe.cli.command import Invocation, common_options

COMMANDS = {
    "run": "Probe a suite; compare with what it declares and what its policies say",
    "simulate": "Show what policies allow, without a cluster; compare with a suite",
    "can": "Print whether a pod can connect to another: yes or no, for scripts",
    "explain": "Show which policy, rule and peer decide a flow, and what to change",
    "debug": "Find out why traffic is blocked on a cluster: one cause, with its fix",
    "lint": "Find mistakes in policies, with file and line",
    "impact": "Show which flows a change of policies opens or closes",
    "init": "Write a first suite from manifests or a cluster",
    "generate": "Write the policies that a suite needs",
    "doctor": "Check that a cluster enforces policies, with evidence for each check",
    "conformance": "Test a cluster against hundreds of NetworkPolicy cases with known results",
    "history": "Show how runs changed over time",
    "diff": "Show what differs between two reports, and why",
    "graph": "Draw who may talk to whom: mermaid, DOT, SVG or an HTML page",
    "lab": "Start and stop a small cluster on this machine, for kubectl too",
    "kind": "Start and stop a kind cluster with Calico on this machine",
    "clean": "Remove what killed runs left behind",
    "completion": "Print a shell completion script",
    "version": "Print the version, with --context also that of the cluster",
}
"""Each command's module and its line in `netprobe --help`, in the order in which it lists them."""


def is_plugin(program: str) -> bool:
    """Whether the program was called by kubectl, which finds plugins by this name."""
    return PurePath(program).name.startswith(("kubectl-netprobe", "kubectl_netprobe"))


class Commands(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click asks for it)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"netprobe.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"No command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog="Exit status: 0 as expected, 1 differences found, 2 usage or unreadable input, "
    "3 could not tell, 130 interrupted. `netprobe COMMAND --help` shows examples.",
)
@click.version_option(__version__, prog_name="netprobe", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, envvar="NETPROBE_DEBUG", help="Show the traceback of a failure.")
@click.pass_obj
def netprobe(invocation: Invocation, debug: bool) -> None:
    """Check that a cluster's network does what its policies say, and that they say what you mean."""
    invocation.debug = debug


netprobe.params += common_options()

__all__ = ["COMMANDS", "Commands", "Invocation", "is_plugin", "netprobe"]
