"""What every command has: headings in its help, --color and -v, hints for renamed options."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, Final

import click

COLORS: Final = ("auto", "always", "never")
COMMON: Final = "Common options"

RENAMED: Final = {
    ("lab", "--name"): "--lab",
    ("explain", "--family"): "--ip-family",
}
"""Options that a command no longer has, and what to use. A subcommand shares the entries of its group."""


@dataclass(slots=True)
class Invocation:
    """How the program was called; `ctx.obj` of every command.

    `verbosity`: 1 (-v) prints each step with its time.
    """

    plugin: bool = False  # as `kubectl netprobe`: the current context is used, as by every plugin
    debug: bool = False
    color: str = "auto"
    verbosity: int = 0


def invocation() -> Invocation:
    """The invocation of the running command."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Invocation) if context else None) or Invocation()


def is_given(name: str) -> bool:
    """Whether a parameter of the running command is on the command line."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not click.core.ParameterSource.DEFAULT


def _set_color(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None and (found := ctx.find_object(Invocation)):
        found.color = value


def _set_verbosity(ctx: click.Context, _param: click.Parameter, value: int) -> None:
    if value and (found := ctx.find_object(Invocation)):
        found.verbosity += value


def common_options() -> list[click.Option]:
    """--color and -v, before and after the command's name."""
    return [
        click.Option(
            ["--color"],
            type=click.Choice(COLORS),
            expose_value=False,
            callback=_set_color,
            help="Colour the output. auto: on a terminal or with FORCE_COLOR set, but not with NO_COLOR.",
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            show_default=False,
            expose_value=False,
            callback=_set_verbosity,
            help="Print each step and its time on standard error.",
        ),
    ]


class Command(click.Command):
    """A command whose help groups options under headings."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *own, last = super().get_params(ctx)  # the last one is --help
        return [*own, *common_options(), last]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing and args and args[-1].startswith("-"):
            args = args[:-1]  # its value is being completed; without one click would forget the arguments
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            for name in (one.info_name for one in _chain(ctx)):
                if new := RENAMED.get((name or "", error.option_name)):
                    raise click.UsageError(f"{error.option_name} is now {new}", ctx) from None
            raise

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 (a sentence is never cut)
        """The first sentence, as the list of commands shows it."""
        return cleandoc(self.help or "").partition("\n\n")[0].replace("\n", " ").removesuffix(".")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        formatter.write_paragraph()
        with formatter.indentation():
            width = formatter.width - formatter.current_indent
            formatter.write_text(_fitted(cleandoc(self.help or ""), width))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        shared = {"--color", "--verbose", "--help"}
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):
                continue  # the usage line and the text have them
            if record := param.get_help_record(ctx):
                heading = COMMON if shared & set(param.opts) else getattr(param, "heading", "Options")
                sections.setdefault(heading, []).append(record)
        sections[COMMON] = sections.pop(COMMON)  # last
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _fitted(text: str, width: int) -> str:
    """A help text. If an example is too long for one line, all comments are put above their examples."""
    above, heading, examples = text.partition("\b\nExamples:\n")
    lines = examples.splitlines()
    if all(len(line) <= width for line in lines):
        return text
    fitted = []
    for line in lines:
        command, _, comment = line.partition(" # ")
        fitted += [f"  # {comment}"] if comment else []
        fitted.append(command.rstrip())
    return above + heading + "\n".join(fitted)


def _chain(ctx: click.Context | None) -> list[click.Context]:
    """The context and its parents."""
    return [ctx, *_chain(ctx.parent)] if ctx is not None else []


def with_examples(text: str) -> str:
    """A help text whose examples click does not fill as a paragraph."""
    return cleandoc(text).replace("\nExamples:\n", "\n\b\nExamples:\n")


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.help = with_examples(self.help or "")
