"""`netprobe completion`: a shell completion script."""

from __future__ import annotations

from dataclasses import dataclass

import click
from click.shell_completion import get_completion_class

from netprobe.cli import options
from netprobe.cli.invoke import COMPLETE
from netprobe.errors import UsageError


@dataclass(frozen=True, slots=True)
class CompletionFlags(options.Flags):
    shell: str = options.argument(type=click.Choice(["bash", "zsh", "fish"]))


@options.as_command(CompletionFlags)
def command(flags: CompletionFlags) -> None:
    """Print a script that makes the shell complete netprobe commands, options and values.

    Examples:
      source <(netprobe completion bash)                 # in ~/.bashrc
      netprobe completion zsh > "${fpath[1]}/_netprobe"  # then start a new zsh
      netprobe completion fish | source                  # in ~/.config/fish/config.fish
    """
    kind = get_completion_class(flags.shell)
    if kind is None:
        raise UsageError(f"no completion for {flags.shell}")
    print(kind(click.get_current_context().find_root().command, {}, "netprobe", COMPLETE).source())
