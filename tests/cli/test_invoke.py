"""What surrounds every command: exit statuses, messages, signals, pipes."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
import pytest

from netprobe import __version__
from netprobe.cli import invoke, main
from netprobe.cli.command import Invocation
from netprobe.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    InputError,
    LabError,
    NetprobeError,
    Problem,
    UsageError,
    WorkbenchError,
)
from tests.cli.conftest import Command, Program


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """A command that ends with an error."""

    def fail() -> NoReturn:
        raise error

    return fail


NOTED = NetprobeError("no pod became ready")
NOTED.add_note("later: netprobe clean")
PROBLEMS = InputError([Problem("a.yaml:1", "spec", "one"), Problem("b.yaml:2", "", "tw\x1b[31mo")])
KINDS = (NetprobeError, ClusterError, ForbiddenError, ConflictError, WorkbenchError, LabError)
ENDS = [  # what a command raises, its status, and the lines that it prints
    *((kind("x"), 3, ["x"]) for kind in KINDS),
    (NOTED, 3, ["no pod became ready", "later: netprobe clean"]),
    (PROBLEMS, 2, ["a.yaml:1: spec: one", "b.yaml:2: tw\\x1b[31mo", "2 problems; nothing was done"]),
    (UsageError("x"), 2, ["x"]),
    (MemoryError(), 3, ["there is not enough memory"]),
    (KeyboardInterrupt(), 130, ["interrupted"]),
]


@pytest.mark.parametrize(("error", "status", "lines"), ENDS, ids=[type(row[0]).__name__ for row in ENDS])
def test_an_error_is_a_sentence_and_its_status(
    error: BaseException, status: int, lines: list[str], command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    assert main(["trial"]) == status
    assert capsys.readouterr() == ("", "".join(f"netprobe: {line}\n" for line in lines))


def test_a_bug_is_one_sentence_and_a_file(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command(raising(RuntimeError("token=secret")))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["trial"]) == 3
    text_ = capsys.readouterr().err
    assert re.fullmatch(
        r"netprobe: a bug in netprobe: RuntimeError at \S+; the traceback is in (\S+)\n", text_
    )
    (file,) = tmp_path.iterdir()
    assert file.read_text().endswith("RuntimeError: token=secret\n")
    assert file.stat().st_mode & 0o077 == 0, "only its owner may read it"


@pytest.mark.parametrize(
    "options",
    [("history",), ("doctor", "--kubeconfig"), ("run", "manifests/two-tier/suite.yaml", "--report")],
    ids=lambda options: options[0],
)
def test_a_path_that_cannot_be_one(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 300
    assert main([*options, f"json={name}" if options[-1] == "--report" else name]) == 2
    assert capsys.readouterr().err == f"netprobe: {name}: File name too long\n"


@pytest.mark.parametrize("error", [RuntimeError("why"), UsageError("why")])
def test_debug_shows_the_traceback(
    error: Exception, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    main(["--debug", "trial"])
    assert "Traceback (most recent call last)" in capsys.readouterr().err


INTERRUPTED_IMPORT = """
import sys
from netprobe.cli import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "yaml":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
sys.exit(main(["simulate", "manifests/two-tier/suite.yaml"], program="netprobe"))
"""


def test_ctrl_c_in_the_middle_of_an_import() -> None:
    """What handles it imports nothing, for that would meet a module that is half imported."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "netprobe: interrupted\n")


HEARS_SIGNALS = ["env", "--default-signal=INT,HUP"]  # also where the tests run in the background of a shell

SLEEPER = """
import asyncio, sys
from netprobe.cli.signals import run_async
from netprobe.cli.invoke import guarded
import click, types
from netprobe.cli import invoke

async def work():
    try:
        print("ready", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("cleaned up", flush=True)

module = types.ModuleType("netprobe.cli.trial")
module.command = click.command("trial")(lambda: run_async(work()))
sys.modules["netprobe.cli.trial"] = module
invoke.COMMANDS["trial"] = ""
sys.exit(guarded(["trial"], "netprobe"))
"""


@contextmanager
def started(script: str, *environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process of a script that has printed "ready"."""
    words = [*environment, sys.executable, "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.mark.parametrize(
    ("environment", "signals", "status"),
    [
        pytest.param(HEARS_SIGNALS, [signal.SIGINT], 130, id="Ctrl-C"),
        pytest.param(["nohup"], [signal.SIGHUP, signal.SIGTERM], 143, id="an ignored hangup stays ignored"),
    ],
)
def test_a_signal_lets_the_cleanup_of_a_coroutine_finish(
    environment: list[str], signals: list[signal.Signals], status: int
) -> None:
    with started(SLEEPER, *environment) as process:
        for number in signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=300)
    assert (out, process.returncode) == ("cleaned up\n", status)
    assert err.endswith("netprobe: interrupted\n")


def test_closing_the_terminal_lets_the_cleanup_finish(tmp_path: Path) -> None:
    """Whatever is written to the terminal fails from then on, which must not end the cleanup."""
    done = tmp_path / "done"
    script = SLEEPER.replace('print("cleaned up"', f"print(1); open({str(done)!r}, 'w'); print(2")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("env", [*HEARS_SIGNALS, sys.executable, "-c", script])  # noqa: S606
    shown = b""
    while b"ready\r\n" not in shown:
        shown += os.read(terminal, 1000)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert done.exists()
    assert os.waitstatus_to_exitcode(status) == 129


LEAVES = """
from netprobe.probe.ownership import OPEN, ObjectRef, Record
OPEN.append(Record("r1", "t", {ObjectRef("Namespace", None, f"n{i}") for i in range(10)}))
"""


def test_a_second_signal_ends_at_once_and_says_what_is_left() -> None:
    script = LEAVES + SLEEPER
    for old, new in {
        "await asyncio.sleep(0)": "print('cleaning', flush=True); await asyncio.sleep(60)",
        'guarded(["trial"]': 'guarded(["trial", "--context", "my cluster"]',
        '("trial")(lambda:': '("trial", params=[click.Option(["--context"])])(lambda context:',
    }.items():
        assert old in script
        script = script.replace(old, new)
    with started(script, *HEARS_SIGNALS) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
    assert (out, process.returncode) == ("", 143)
    remedy = "netprobe clean --context 'my cluster' --run r1 removes it"
    named = ", ".join(f"Namespace/n{i}" for i in range(8))
    assert err.splitlines() == [
        "netprobe: interrupted",
        f"netprobe: run r1 may have left {named} and 2 more: " + remedy,
    ]


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">/dev/full", 3, "netprobe: cannot write to standard output: No space left on device\n"),
        (">&-", 3, "netprobe: cannot write to standard output: it is closed\n"),
        ("<&- 2>&-", 0, ""),
    ],
)
def test_an_output_that_takes_nothing(redirection: str, status: int, said: str) -> None:
    command = f'exec "{sys.executable}" -m netprobe completion bash {redirection}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, said)


def test_too_few_open_files_are_named_at_once(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 64))
    done = program("run", "manifests/two-tier/suite.yaml")
    assert done.returncode == 3
    assert done.stderr.startswith("netprobe: this process may open only 64 files")


def test_version(program: Program) -> None:
    done = program("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"netprobe {__version__}\n", "")


def test_version_and_help_import_nothing_heavy() -> None:
    code = (
        "import sys; from netprobe.cli import main; main(['--version']); main(['--help']);"
        "heavy = {'kubernetes', 'pydantic', 'yaml', 'aiohttp', 'rich', 'tabulate', 'asyncio'};"
        "sys.exit(str(sorted(heavy & sys.modules.keys())) if heavy & sys.modules.keys() else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_has_help(program: Program) -> None:
    """Its examples are typed in test_mentioned.py."""
    overview = " ".join(program("--help").stdout.split())
    for name, text in invoke.COMMANDS.items():
        assert f"{name} {text}" in overview
        done = program(name, "--help")
        assert (done.returncode, done.stderr) == (0, ""), name


def test_completion_scripts(program: Program) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = program("completion", shell)
        assert done.returncode == 0
        assert "_NETPROBE_COMPLETE" in done.stdout


def test_a_kubectl_plugin_knows_that_it_is_one(command: Command) -> None:
    seen: list[Invocation] = []
    command(lambda: seen.append(click.get_current_context().obj))
    for path in ("/usr/local/bin/kubectl-netprobe", "kubectl-netprobe", "/opt/kubectl-netprobe/netprobe"):
        assert main(["trial"], program=path) == 0
    assert [one.plugin for one in seen] == [True, True, False]
