"""`netprobe completion`: a shell completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from netprobe.cli.command import Command
from netprobe.cli.invoke import COMPLETE
from netprobe.cli.options import examples
from netprobe.errors import UsageError


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@examples("""
source <(netprobe completion bash)                 # in ~/.bashrc
netprobe completion zsh > "${fpath[1]}/_netprobe"  # then start a new zsh
netprobe completion fish | source                  # in ~/.config/fish/config.fish
""")
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes netprobe commands and options in SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    print(kind(ctx.find_root().command, {}, "netprobe", COMPLETE).source())
