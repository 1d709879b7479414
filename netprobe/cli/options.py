"""Options as records, and those that several commands share, spelled as kubectl spells them.

`from netprobe.cli import options`: a field is `options.flag("--strict", "Exit ...")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import click

from netprobe.cli import complete
from netprobe.cli.command import Command, with_examples
from netprobe.cli.parameters import DURATION, OUTPUT_FILE, PORT, Parameter, ReportFile, report_file
from netprobe.model.flow import Family

F = TypeVar("F", bound="Flags")


class Flags:
    """A record of options: a dataclass whose fields the functions below make. It may contain others."""

    __slots__ = ()
    HEADING: ClassVar = "Options"
    """Of its options in a help text."""

    def answered(self) -> bool:
        """Answer options that only ask for information; whether there were any."""
        return any(
            inner.answered()
            for each in _fields(type(self))
            if isinstance(inner := getattr(self, each.name), Flags)
        )


def _fields(record: type[Flags]) -> tuple[Field[Any], ...]:
    return fields(record)  # type: ignore[arg-type] # Flags itself is not a dataclass, its subclasses are


def _parameter(kind: Callable[..., click.Parameter], names: tuple[str, ...], **more: Any) -> Any:
    """A field, which gets its value from a parameter of the same name."""
    empty: Any = () if more.get("multiple") or more.get("nargs") == -1 else None
    default = more.get("default", False if more.get("is_flag") else empty)
    if isinstance(more.get("type"), Parameter):
        default = more["type"].convert(default, None, None)
    return field(default=default, metadata={"make": lambda name: [kind([*names, name], **more)]})


def option(spec: str, help: str | None = None, **more: Any) -> Any:  # noqa: A002 (click's word)
    """A field that is an option. `spec` has its names and its metavar, as in "-n, --namespace NAME".

    `more` are arguments of click.Option.
    """
    words = spec.replace(",", "").split()
    names = tuple(word for word in words if word.startswith("-"))
    more["metavar"] = words[-1] if words[-1] not in names else None
    return _parameter(click.Option, names, help=help, **more)


def argument(**more: Any) -> Any:
    """A field that is an argument, made as a click.Argument."""
    return _parameter(click.Argument, (), **more)


def flag(name: str, help: str) -> Any:  # noqa: A002 (click's word)
    return option(name, help, is_flag=True)


def switches(**help: str) -> Any:  # noqa: A002 (click's word)
    """Options without a value for one field, which gets the name of the last one that is given."""

    def make(name: str) -> list[click.Parameter]:
        return [click.Option([f"--{one}", name], flag_value=one, help=text) for one, text in help.items()]

    return field(default=None, metadata={"make": make})


def repeatable(spec: str, help: str, **more: Any) -> Any:  # noqa: A002 (click's word)
    """An option that may be given several times."""
    return option(spec, f"{help} Repeatable.", multiple=True, **more)


def duration(name: str, help: str, *, default: str) -> Any:  # noqa: A002 (click's word)
    """An option such as "30s" or "1m30s", in seconds."""
    return option(name, help, type=DURATION, default=default)


def nested(record: type[F], **changed: Any) -> Any:
    """A field that is itself a record of options; `changed` replaces some of its fields."""
    return field(default=None, metadata={"record": record, "changed": changed})


def _parameters(record: type[Flags], changed: Mapping[str, Any]) -> Iterator[click.Parameter]:
    for each in _fields(record):
        metadata = changed.get(each.name, each).metadata
        if "record" in metadata:
            yield from _parameters(metadata["record"], metadata["changed"])
        elif "make" in metadata:
            for parameter in metadata["make"](each.name):
                parameter.heading = record.HEADING
                yield parameter


def _made(record: type[F], values: Mapping[str, Any]) -> F:
    """The record with the values of its parameters. A field without a parameter keeps its default."""
    own: dict[str, Any] = {}
    for each in _fields(record):
        if "record" in each.metadata:
            own[each.name] = _made(each.metadata["record"], values)
        elif each.name in values:
            own[each.name] = values[each.name]
    return record(**own)


def as_command(
    record: type[F], *, name: str | None = None, parent: click.Group | None = None
) -> Callable[[Callable[[F], int | None]], Command]:
    """Make a function the command that has these options; its docstring is the help."""

    def decorate(function: Callable[[F], int | None]) -> Command:
        def call(**values: Any) -> int | None:
            flags = _made(record, values)
            return 0 if flags.answered() else function(flags)

        text = with_examples(function.__doc__ or "")
        own = list(_parameters(record, {}))
        command = Command(name or function.__name__, params=own, callback=call, help=text)
        if parent is not None:
            parent.add_command(command)
        return command

    return decorate


def port() -> Any:
    return repeatable(
        "--port PORT[/PROTOCOL]", "Port to check: 80, 53/udp, or the name of a port.", type=PORT
    )


def filenames(help: str) -> Any:  # noqa: A002 (click's word)
    """-f/--filename: files, folders and - for standard input."""
    return option("-f, --filename PATH", help, multiple=True, type=click.Path(allow_dash=True))


def manifests() -> Any:
    return filenames(
        "Manifests: a file, a folder, or - for standard input. Repeatable; together they are one cluster."
    )


def namespace() -> Any:
    return option(
        "-n, --namespace NAME", "Namespace for manifests that name none.", shell_complete=complete.namespaces
    )


def family() -> Any:
    """--ip-family: a key of FAMILIES."""
    return option(
        "--ip-family", "Use only this address family, if pods have both.", type=click.Choice(["ipv4", "ipv6"])
    )


FAMILIES: Final[Mapping[str | None, Family | None]] = {None: None, "ipv4": 4, "ipv6": 6}
"""Of --ip-family."""


def profile() -> Any:
    """--profile: the name of a profile of the simulator."""
    return option(
        "--profile NAME",
        "CNI to assume where the API leaves its behaviour undefined: calico, cilium, antrea or "
        "kube-network-policies.",
        default="calico",
    )


def wait() -> Any:
    return duration("--probe-timeout", "How long a probe waits for an answer (nc -w).", default="1s")


def ready(default: str) -> Any:
    return duration("--ready-timeout", "How long to wait for pods to become ready.", default=default)


@dataclass(frozen=True, slots=True)
class OutputFlags(Flags):
    """Where the result goes: in one format to standard output, or to a file; in others to more files."""

    HEADING: ClassVar = "Output"
    output: str = option("-o, --output")
    output_file: Path | None = option(
        "--output-file PATH", "Write to this file instead of standard output.", type=OUTPUT_FILE
    )
    reports: Sequence[ReportFile] = ()


class Format(click.Choice[str]):
    """One of the known formats. What looks like a path gets a hint, because -o of many tools takes one."""

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


def output(
    known: Sequence[str],
    *,
    help: str = "Output format.",  # noqa: A002 (click's word)
    reports: bool = True,
    path_option: str = "--output-file",
) -> Any:
    """-o FORMAT, --output-file PATH and --report FORMAT=PATH, as an OutputFlags.

    The first of the `known` formats is the default.
    """
    output = option("-o, --output", help, type=Format(known, path_option), default=known[0])
    report = repeatable(
        "--report FORMAT=PATH",
        "Also write a report in this format to a file (- for standard output).",
        type=report_file(known),
    )
    return nested(OutputFlags, output=output, **({"reports": report} if reports else {}))
