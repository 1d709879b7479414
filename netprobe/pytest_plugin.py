"""A pytest plugin: every flow that a suite declares is a test.

`pytest suite.yaml` collects the flows of the suites that are named on the command line, or that match the
ini option `netprobe_suites`. A suite runs once, in its own process: on a lab made for the run, or on
the cluster that `--netprobe-context`, `--netprobe-kubeconfig` or `--netprobe-lab` names.

This module is loaded into every pytest session, so it imports little and none of the rest of netprobe.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Report: TypeAlias = dict[str, Any]
"""The JSON report (docs/report.schema.json)."""

Row: TypeAlias = dict[str, Any]
"""An element of its `flows`."""

_CLUSTER_OPTIONS = ("context", "kubeconfig", "lab")


class NoReportError(Exception):
    """netprobe wrote no report; the text is what it said instead."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netprobe", "connectivity suites")
    group.addoption("--netprobe-context", metavar="NAME", help="Run suites on the cluster of this context.")
    group.addoption("--netprobe-kubeconfig", metavar="PATH", help="Run suites on the cluster of this file.")
    group.addoption("--netprobe-lab", metavar="NAME", help="Run suites on this lab (`netprobe lab up`).")
    parser.addini(
        "netprobe_suites", "Patterns of connectivity suites to collect, as in suites/*.yaml.", type="args"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    """A suite that was named, or that the ini option matches; other YAML files are left alone."""
    if file_path.suffix not in {".yaml", ".yml"}:
        return None
    patterns = parent.config.getini("netprobe_suites")
    if not (parent.session.isinitpath(file_path) or any(file_path.match(pattern) for pattern in patterns)):
        return None
    is_suite = _document(file_path).get("kind") == "ConnectivitySuite"
    return SuiteFile.from_parent(parent, path=file_path) if is_suite else None


def _document(path: Path) -> dict[str, Any]:
    """The first document of a YAML file; {} for anything else."""
    import yaml

    try:
        document = next(yaml.safe_load_all(path.read_bytes()), None)
    except (OSError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


def _netprobe(config: pytest.Config, command: str, path: Path) -> Report:
    """The report of `netprobe COMMAND FILE -o json`, in its own process. NoReportError without one."""
    words = [sys.executable, "-m", "netprobe", command, str(path), "-o", "json"]
    if command == "run" or not _document(path).get("topology"):  # its own pods need no cluster
        words += [
            f"--{option}={value}"
            for option in _CLUSTER_OPTIONS
            if (value := config.getoption(f"--netprobe-{option}"))
        ]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        report: Report = json.loads(done.stdout)
    except ValueError:
        raise NoReportError(done.stderr.strip() or f"netprobe ended with {done.returncode}") from None
    return report


@dataclass(frozen=True, slots=True, order=True)
class DeclaredFlow:
    """What identifies a declared flow in the report of a simulation and in that of a run."""

    step: int
    source: str
    destination: str
    port: int
    protocol: str

    @classmethod
    def of(cls, row: Row) -> DeclaredFlow:
        return cls(row["step"], row["from"], row["to"], row["port"], row["protocol"])

    def name(self, steps: list[dict[str, Any]]) -> str:
        port = str(self.port) if self.protocol == "TCP" else f"{self.port}/{self.protocol}"
        text = f"{self.source} -> {self.destination}:{port}"
        return f"{steps[self.step]['name']}: {text}" if len(steps) > 1 else text


class SuiteFile(pytest.File):
    """A suite; its items are the flows that it declares."""

    def collect(self) -> Iterator[FlowItem]:
        try:
            report = _netprobe(self.config, "simulate", self.path)
        except NoReportError as error:
            raise self.CollectError(str(error)) from None
        flows = dict.fromkeys(DeclaredFlow.of(row) for row in report["flows"] if row["declared"])
        for flow in flows:
            yield FlowItem.from_parent(self, name=flow.name(report["steps"]), flow=flow)


class FlowItem(pytest.Item):
    """One declared flow: it passes if every row of it in the report is as expected."""

    def __init__(self, *, flow: DeclaredFlow, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.flow = flow

    def runtest(self) -> None:
        report = report_of(self.path, self.config)
        rows = [row for row in report["flows"] if DeclaredFlow.of(row) == self.flow]
        if not rows:
            raise NoReportError("the report of the run has no such flow")
        wrong = [row for row in rows if row["status"] in {"mismatch", "unknown"}]
        if wrong:
            raise AssertionError("\n".join(line for row in wrong for line in _described(row)))
        if all(row["status"] in {"skipped", "undefined"} for row in rows):
            pytest.skip(rows[0]["reason"] or rows[0]["status"])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, AssertionError | NoReportError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


def _described(row: Row) -> Iterator[str]:
    """What is wrong with a row: its three verdicts, the reason, the deciding rules, and the fix."""
    verdicts = ", ".join(f"{column} {row[column]}" for column in ("declared", "simulated", "observed"))
    yield f"{row['from']} -> {row['to']}:{row['port']}/{row['protocol']}: {verdicts}"
    if row["reason"]:
        yield f"  {row['reason']}"
    for cause in row["because"]:
        rule = "" if cause["rule"] is None else f" rule {cause['rule']}"
        yield f"  {cause['direction']}: {cause['policy']}{rule} {cause['effect']}"
    if fix := row.get("fix"):
        yield f"  fix: {fix['summary']}"


def report_of(path: Path, config: pytest.Config) -> Report:
    """The report of a suite, which runs once in a session, whichever worker asks first."""
    reports: dict[Path, Report] = config.stash.setdefault(_REPORTS, {})
    if path not in reports:
        folder = _shared_folder(config)
        kept = folder / f"netprobe-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.json"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                try:
                    outcome: dict[str, Any] = {"report": _netprobe(config, "run", path)}
                except NoReportError as error:
                    outcome = {"error": str(error)}
                kept.write_text(json.dumps(outcome))
        outcome = json.loads(kept.read_text())
        if "error" in outcome:
            raise NoReportError(outcome["error"])
        reports[path] = outcome["report"]
    return reports[path]


_REPORTS = pytest.StashKey[dict[Path, Report]]()


def _shared_folder(config: pytest.Config) -> Path:
    """The session's temporary folder, which all workers of pytest-xdist share."""
    own: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # noqa: SLF001
    return own.parent if hasattr(config, "workerinput") else own


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab. `kubeconfig` is the path of its kubeconfig, for kubectl or any client."""

    name: str
    kubeconfig: Path


@pytest.fixture(scope="session")
def netprobe_lab(request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    """A lab for the session (one for each worker); `--netprobe-lab` names one that is running."""
    existing = request.config.getoption("--netprobe-lab")
    name = existing or f"pytest-{os.getpid()}"
    if not existing:
        _lab("up", name)
    try:
        yield RunningLab(name, Path(_lab("kubeconfig", name)))
    finally:
        if not existing:
            _lab("down", name)


def _lab(verb: str, name: str) -> str:
    words = [sys.executable, "-m", "netprobe", "lab", verb, name]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoReportError(done.stderr.strip())
    return done.stdout.strip()


@pytest.fixture
def netprobe_suite(request: pytest.FixtureRequest) -> Callable[[str | Path], Report]:
    """A function that runs a suite, once in a session, and returns its JSON report as a dictionary.

    Relative paths start at the folder of the test's file.
    """

    def report(path: str | Path) -> Report:
        return report_of((request.path.parent / path).resolve(), request.config)

    return report
