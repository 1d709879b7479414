"""`netprobe init`: a first suite."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from netprobe.cli import complete, options
from netprobe.cli.flags import ClusterFlags
from netprobe.cli.inputs import InputFlags, read_world, say_warnings
from netprobe.cli.invoke import say
from netprobe.cli.parameters import OUTPUT_FILE
from netprobe.errors import NetprobeError, UsageError


@dataclass(frozen=True, slots=True)
class InitFlags(options.Flags):
    inputs: InputFlags = options.nested(InputFlags)
    cluster: ClusterFlags = options.nested(ClusterFlags)
    namespaces: Sequence[str] = options.repeatable(
        "-n, --namespace NAME",
        "Only this namespace. Default: all except system namespaces.",
        shell_complete=complete.namespaces,
    )
    name: str | None = options.option("--name NAME", "Name of the suite. Default: the name of its folder.")
    output_file: Path | None = options.option(
        "--output-file PATH",
        "The suite to write; its policies go to policies/ next to it. Default: suite.yaml.",
        type=OUTPUT_FILE,
    )
    output_dir: Path | None = options.option(
        "--output-dir PATH", "Write suite.yaml to this folder.", type=click.Path(path_type=Path)
    )
    profile: str = options.profile()


@options.as_command(InitFlags)
def command(flags: InitFlags) -> int:
    """Write a first suite from manifests, a chart's output or a live cluster.

    The suite has a pod for each workload, the policies, and a row for everything that they allow today. It
    can be run as it is. Remove the rows that should not be allowed. No file is overwritten.

    Examples:
      netprobe init manifests/                               # suite.yaml and policies/ in this folder
      netprobe init --context staging -n shop --output-dir suites/shop
      helm template my-chart | netprobe init - --output-dir suites/my-chart
    """
    from netprobe.generate.first_suite import FOLDER, first_suite
    from netprobe.report import save
    from netprobe.simulate import profile as profile_of

    if flags.output_file is not None and flags.output_dir is not None:
        raise UsageError("--output-file and --output-dir are two places for the suite: use one of them")
    path = flags.output_file or (flags.output_dir or Path()) / "suite.yaml"
    if path.exists():
        raise UsageError(f"{path} exists: choose another place with --output-dir or --output-file")
    world = read_world(
        flags.inputs,
        flags.cluster,
        nothing="no cluster given: name files or folders of manifests, or use --context",
    )
    if world.suite is not None:
        raise UsageError(f"{world.path} is a suite already: init reads manifests or a cluster")
    found = world.cluster()
    say_warnings(found)
    if unknown := sorted(set(flags.namespaces) - set(found.namespaces)):
        raise UsageError(f"no such namespace: {', '.join(unknown)}; there are {', '.join(found.namespaces)}")
    made = first_suite(found, flags.name or _name(path), flags.namespaces, profile_of(flags.profile))
    if not made.pods:
        raise UsageError("no pods found: a suite is about flows between pods")
    files = {path.parent / FOLDER / file: text for file, text in made.policies.items()}
    if taken := [file for file in files if file.exists()]:
        raise UsageError(f"{taken[0]} exists: choose another place with --output-dir or --output-file")
    try:
        for file in (*files, path):
            file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NetprobeError(f"cannot write {error.filename or path}: {error.strerror}") from error
    for file, text in files.items():
        save(file, [text])
    save(path, [made.text])
    policies = "1 policy" if len(files) == 1 else f"{len(files)} policies"
    rows = "1 row" if made.rows == 1 else f"{made.rows} rows"
    say(f"{path}: {made.pods} pods, {policies}, {rows}; netprobe run {path} tries it on a lab")
    return 0


def _name(path: Path) -> str:
    """The name of the suite's folder, as Kubernetes writes names."""
    return re.sub(r"[^a-z0-9]+", "-", path.resolve().parent.name.lower()).strip("-") or "suite"
