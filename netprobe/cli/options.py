"""Options that several commands share, spelled as kubectl spells them, and how options are added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from inspect import cleandoc
from typing import Any, Final, TypeAlias

import click

from netprobe.cli.parameters import DURATION, PORT, report_file

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def grouped(*options: Decorator) -> Decorator:
    """Add options to a command; its help lists them in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def as_record(name: str, record: type[Any], *options: Decorator) -> Decorator:
    """Add options to a command. It gets their values as one keyword argument, a `record` called `name`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*arguments: Any, **values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(record)}
            return function(*arguments, **values, **{name: record(**own)})

        return grouped(*options)(command)

    return decorate


def repeatable(*names: str, help: str, **more: Any) -> Decorator:  # noqa: A002 (click's word)
    """An option that may be given several times."""
    return click.option(*names, multiple=True, help=f"{help} Repeatable.", **more)


def duration_option(*names: str, default: str, help: str) -> Decorator:  # noqa: A002 (click's word)
    """An option such as "30s" or "1m30s"; the command gets seconds."""
    return click.option(*names, type=DURATION, default=default, help=help)


def examples(text: str) -> Decorator:
    """Put examples below the options of a command's help, each line unchanged."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        lines = "\n".join(f"  {line}" if line else "" for line in text.strip().splitlines())
        # \b keeps click from filling the paragraph.
        function.__doc__ = f"{cleandoc(function.__doc__ or '')}\n\n\b\nExamples:\n{lines}\n"
        return function

    return decorate


port_option: Final = repeatable(
    "--port", "ports", type=PORT, metavar="PORT[/PROTOCOL]", help="Port to check, as in 80 or 53/udp."
)


def filename_option(help: str) -> Decorator:  # noqa: A002 (click's word)
    """-f/--filename: files, folders and - for standard input, as `filenames`."""
    return click.option(
        "-f",
        "--filename",
        "filenames",
        multiple=True,
        metavar="PATH",
        type=click.Path(allow_dash=True),
        help=help,
    )


manifests_option: Final = filename_option(
    "File or folder of manifests, or - for standard input. Repeatable: all form one cluster."
)

namespace_option: Final = click.option(
    "-n", "--namespace", metavar="NAME", help="Namespace of manifests that do not name one."
)

profile_option: Final = click.option(
    "--profile",
    metavar="NAME",
    default="calico",
    help="CNI behaviour to assume where the API leaves it undefined.",
)

wait_option: Final = duration_option(
    "--probe-timeout", "wait_s", default="1s", help="How long to wait for an answer to one probe (nc -w)."
)


def ready_option(default: str) -> Decorator:
    """--ready-timeout, in seconds, as `ready_s`."""
    return duration_option(
        "--ready-timeout", "ready_s", default=default, help="How long to wait for pods to become ready."
    )


def format_option(*known: str, help: str = "Output format.") -> Decorator:  # noqa: A002 (click's word)
    """-o/--output: one of the `known` formats, by default the first."""
    return click.option("-o", "--output", type=click.Choice(known), default=known[0], help=help)


def output_options(known: Sequence[str]) -> Decorator:
    """-o/--output and --report: the format for standard output, and files to write."""
    return grouped(
        format_option(*known),
        repeatable(
            "--report",
            "reports",
            type=report_file(known),
            metavar="FORMAT=PATH",
            help="Also write a report in this format to a file (- for standard output).",
        ),
    )
