"""The group of all commands, and what surrounds each: errors become sentences and exit statuses."""

from __future__ import annotations

import errno
import os
import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path, PurePath

import click

from netprobe import __version__
from netprobe.cli import signals, streams
from netprobe.cli.command import Invocation, common_options
from netprobe.errors import InputError, NetprobeError
from netprobe.model.text import plain

COMMANDS = {
    "run": "Probe the flows of a suite; compare with its declaration and its policies",
    "simulate": "Show what policies allow, without a cluster; compare with a suite",
    "can": "Print whether a pod can connect to another: yes or no, for scripts",
    "explain": "Show which policy, rule and peer decide a flow, and what to change",
    "debug": "Find out why traffic is blocked on a cluster: one cause, with its fix",
    "lint": "Find mistakes in policies, with file and line",
    "impact": "Show which flows a change to policies opens or closes",
    "init": "Write a first suite from manifests or a cluster",
    "generate": "Write the policies that a suite needs",
    "doctor": "Check that a cluster enforces policies, with evidence for each check",
    "conformance": "Test whether a cluster implements NetworkPolicy, with hundreds of cases",
    "history": "Show how runs changed over time",
    "diff": "Show what differs between two reports, and why",
    "graph": "Draw who may talk to whom: mermaid, DOT, SVG or an HTML page",
    "lab": "Start and stop a small cluster on this machine, for kubectl too",
    "kind": "Start and stop a kind cluster with Calico on this machine",
    "clean": "Remove what killed runs left behind",
    "completion": "Print a shell completion script",
    "version": "Print versions: of netprobe and, with --context, of the cluster",
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
    epilog="Exit status: 0 as expected, 1 differences found, 2 usage error or unreadable input, "
    "3 could not tell, 130 interrupted. `netprobe COMMAND --help` shows examples.",
)
@click.version_option(__version__, prog_name="netprobe", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, envvar="NETPROBE_DEBUG", help="Show the traceback of a failure.")
@click.pass_obj
def netprobe(invocation: Invocation, debug: bool) -> None:
    """Check that a cluster's network does what its policies say, and that they say what you mean."""
    invocation.debug = debug


netprobe.params += common_options()


NAMED = 8  # of the objects that are left
BROKEN_PIPE = 141  # as the shell reports a program that SIGPIPE ended
COULD_NOT_TELL = 3
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
EXHAUSTED = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN})
NO_PATH = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.ENOTDIR})
COMPLETE = "_NETPROBE_COMPLETE"  # set by the shell to request completions


def guarded(argv: Sequence[str], program: str) -> int:
    """Run a command line; returns its exit status."""
    invocation = Invocation(plugin=is_plugin(program))
    name = "kubectl netprobe" if invocation.plugin else "netprobe"
    streams.prepare()
    # Elsewhere than in the main thread, signals are handled by others.
    main = threading.current_thread() is threading.main_thread()
    try:
        with signals.raising() if main else nullcontext():
            return _run(argv, name, invocation)
    except BrokenPipeError:
        streams.silence()
        return BROKEN_PIPE
    except KeyboardInterrupt as error:
        say("interrupted")
        for sentence in _left_behind(argv, name):
            say(sentence)
        return signals.status(error)


def say(text: str) -> None:
    """A message for the user, on standard error if it can be written; control characters as escapes."""
    with suppress(OSError):
        for line in text.splitlines():
            print(f"netprobe: {plain(line)}", file=sys.stderr, flush=True)


def _left_behind(argv: Sequence[str], name: str) -> Iterator[str]:
    """What an interruption left in a cluster, and how to remove it: a sentence for each run."""
    if (ownership := sys.modules.get("netprobe.probe.ownership")) is None:
        return
    words = " ".join([name, "clean", *_cluster_options(argv)])
    for record in ownership.OPEN:
        refs = ", ".join(sorted(map(str, record.refs))[:NAMED])
        more = f" and {len(record.refs) - NAMED} more" if len(record.refs) > NAMED else ""
        yield f"run {record.run} may have left {refs}{more}: {words} --run {record.run} removes it"


def _cluster_options(argv: Sequence[str]) -> Iterator[str]:
    """The options that name the cluster, as they were given."""
    given = iter(argv)
    for word in given:
        option, joined, _ = word.partition("=")
        if option in {"--context", "--kubeconfig", "--lab"}:
            yield shlex.quote(word)
            if not joined:
                yield shlex.quote(next(given, ""))


def _run(argv: Sequence[str], name: str, invocation: Invocation) -> int:
    try:
        return _invoke(argv, name, invocation)
    except NetprobeError as error:
        if invocation.debug:
            import traceback

            traceback.print_exc()
        say(_message(error))
        return error.exit_status
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        return _refused(error, invocation)
    except Exception as error:  # noqa: BLE001 (the last resort: a bug is one sentence)
        return _bug(error, invocation)


def _invoke(argv: Sequence[str], name: str, invocation: Invocation) -> int:
    """As `click.Command.main`, without its handling of signals and pipes."""
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(netprobe, {"obj": invocation}, name, COMPLETE, instruction)
    try:
        with netprobe.make_context(name, list(argv), obj=invocation) as context:
            status = netprobe.invoke(context)
    except click.exceptions.Exit as stop:  # --help, --version
        status = stop.exit_code
    streams.flush()  # here, where a failure can still be reported
    return status if isinstance(status, int) else 0


def _refused(error: OSError, invocation: Invocation) -> int:
    """Report an OSError: about a path of the user, about standard output, or a bug."""
    if error.errno in NO_PATH and isinstance(error.filename, str):
        say(f"{error.filename}: {error.strerror}")
        return 2
    if error.errno in EXHAUSTED:
        say(f"the system refuses this process more memory, files or processes: {error.strerror}")
        return COULD_NOT_TELL
    if error.errno not in UNWRITABLE or error.filename is not None:
        return _bug(error, invocation)
    streams.silence()
    say(f"cannot write to standard output: {error.strerror}")
    return COULD_NOT_TELL


def _message(error: NetprobeError) -> str:
    if isinstance(error, InputError) and len(error.problems) > 1:
        return f"{error}\n{len(error.problems)} problems; nothing was done"
    return "\n".join([str(error) or type(error).__name__, *getattr(error, "__notes__", ())])


def _bug(error: Exception, invocation: Invocation) -> int:
    """One sentence, without the exception's own text: it may quote secrets."""
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):
        say("there is not enough memory")
        return COULD_NOT_TELL
    import tempfile
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    if invocation.debug:
        traceback.print_exception(error)
        say(f"a bug in netprobe: {type(error).__name__}{where}")
        return COULD_NOT_TELL
    try:
        handle, path = tempfile.mkstemp(prefix="netprobe-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
        kept = f"the traceback is in {path}"
    except OSError:
        kept = "--debug shows the traceback"
    say(f"a bug in netprobe: {type(error).__name__}{where}; {kept}")
    return COULD_NOT_TELL
