"""Options that several commands share, spelled as kubectl spells them, and how options are added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from netprobe.cli import complete
from netprobe.cli.parameters import DURATION, OUTPUT_FILE, PORT, ReportFile, report_file
from netprobe.model.flow import Family

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def grouped(*options: Decorator, heading: str | None = None) -> Decorator:
    """Add options to a command; its help lists them in this order, under the heading."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        before = len(getattr(function, "__click_params__", ()))
        for option in reversed(options):
            function = option(function)
        if heading is not None:
            for param in getattr(function, "__click_params__", ())[before:]:
                param.heading = heading
        return function

    return decorate


def as_record(name: str, record: type[Any], *options: Decorator, heading: str | None = None) -> Decorator:
    """Add options to a command. It gets their values as one keyword argument, a `record` called `name`.

    A field without an option keeps its default.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*arguments: Any, **values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(record) if field.name in values}
            return function(*arguments, **values, **{name: record(**own)})

        return grouped(*options, heading=heading)(command)

    return decorate


def flag(name: str, help: str, *dest: str) -> Decorator:  # noqa: A002 (click's word)
    """An option without a value; `dest`: the name of the parameter, if it is not that of the option."""
    return click.option(name, *dest, is_flag=True, help=help)


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
    "-n",
    "--namespace",
    metavar="NAME",
    shell_complete=complete.namespaces,
    help="Namespace of manifests that do not name one.",
)

family_option: Final = click.option(
    "--ip-family", type=click.Choice(["ipv4", "ipv6"]), help="Address family, if pods have addresses of both."
)

FAMILIES: Final[Mapping[str | None, Family | None]] = {None: None, "ipv4": 4, "ipv6": 6}
"""Of --ip-family."""

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


@dataclass(frozen=True, slots=True)
class OutputFlags:
    """Where the result goes: in one format to standard output, or to a file; in others to more files."""

    output: str
    output_file: Path | None = None
    reports: Sequence[ReportFile] = ()


class Format(click.Choice[str]):
    """One of the known formats. What looks like a path gets a hint: -o of other tools is often one."""

    def __init__(self, known: Sequence[str], path_option: str) -> None:
        super().__init__(known)
        self._path_option = path_option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if isinstance(value, str) and value not in self.choices and ("/" in value or "." in value):
            known = ", ".join(self.choices)
            self.fail(
                f"{value!r} is not a format ({known}): use {self._path_option} {value} to write there",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


def output_options(
    known: Sequence[str],
    *,
    help: str = "Output format.",  # noqa: A002 (click's word)
    reports: bool = True,
    default: str | None = None,
    path_option: str = "--output-file",
) -> Decorator:
    """-o FORMAT, --output-file PATH and --report FORMAT=PATH, as an OutputFlags called `out`.

    The first of the `known` formats is the default.
    """
    report = repeatable(
        "--report",
        "reports",
        type=report_file(known),
        metavar="FORMAT=PATH",
        help="Also write a report in this format to a file (- for standard output).",
    )
    return as_record(
        "out",
        OutputFlags,
        click.option(
            "-o", "--output", type=Format(known, path_option), default=default or known[0], help=help
        ),
        click.option(
            "--output-file", type=OUTPUT_FILE, metavar="PATH", help="Write to a file, not to standard output."
        ),
        *([report] if reports else []),
        heading="Output",
    )
