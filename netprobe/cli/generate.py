"""`netprobe generate`: policies from a declaration, or a declaration from what is allowed today."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netprobe.cli import options
from netprobe.cli.emit import write
from netprobe.cli.flags import ClusterFlags
from netprobe.cli.inputs import InputFlags, World, read_world, say_warnings
from netprobe.cli.invoke import say
from netprobe.errors import NetprobeError, UsageError
from netprobe.model.cluster import Cluster
from netprobe.report import save

if TYPE_CHECKING:
    from netprobe.simulate import Profile
    from netprobe.suite import Suite

NO_CLUSTER = "no cluster given: name manifests with -f, or a cluster with --context"

READ = frozenset({".yaml", ".yml", ".json"})
"""The files of a folder that suites and kubectl read."""


@dataclass(frozen=True, slots=True)
class GenerateFlags(options.Flags):
    inputs: InputFlags = options.nested(InputFlags)
    cluster: ClusterFlags = options.nested(ClusterFlags)
    out: options.OutputFlags = options.output(
        ("yaml",), reports=False, path_option="--output-dir (a suite: --output-file)"
    )
    output_dir: Path | None = options.option(
        "--output-dir PATH",
        "Write the policies to this folder, one file each.",
        type=click.Path(path_type=Path),
    )
    no_dns: bool = options.flag(
        "--no-dns", "Do not add a policy that allows the cluster's DNS where egress is closed."
    )
    namespace_label: str | None = options.option(
        "--namespace-label KEY", "Select namespaces by this label instead of by name, if it tells them apart."
    )
    verify: bool = options.flag("--verify", "Also run the suite with the new policies on a lab.")
    proposes: bool = options.flag(
        "--from-cluster", "Propose a suite from what the policies in manifests or --context allow today."
    )
    profile: str = options.profile()


@options.as_command(GenerateFlags)
def command(flags: GenerateFlags) -> int:
    """Write NetworkPolicies that allow exactly the flows that SUITE allows.

    Writes a default deny for each namespace that must be closed, and one policy per subject with exact
    ports. With `default: deny` every namespace is closed in both directions; otherwise as few as possible.
    The simulator checks the policies before they are written. The suite's own policies and steps are ignored.

    Exit status: 0, 2 if no policies can implement the declaration (the message names the pods and flows);
    with --verify, the status of the run.

    Examples:
      netprobe generate suite.yaml                       # the policies, checked by the simulator
      netprobe generate suite.yaml --output-dir policies/ --verify  # to files; also probed on a lab
      netprobe generate suite.yaml cluster.yaml          # for a suite without a topology
      netprobe generate --from-cluster --context staging --output-file suite.yaml
    """
    from netprobe.simulate import profile as profile_of
    from netprobe.simulate.bits import uncollected

    chosen = profile_of(flags.profile)
    suite, _ = flags.inputs.split()
    if flags.proposes:
        if suite is not None or flags.verify or flags.output_dir is not None:
            raise UsageError(
                "--from-cluster proposes a suite: it takes no SUITE, no --verify and no --output-dir"
            )
        found = read_world(flags.inputs, flags.cluster, nothing=NO_CLUSTER).cluster()
        say_warnings(found)
        return _propose(found, flags.out, chosen)
    if flags.output_dir is not None and flags.out.output_file is not None:
        raise UsageError("--output-dir and --output-file are two places for the policies: use one of them")
    from netprobe.generate.generate import generate_for

    world = (
        read_world(flags.inputs, flags.cluster, nothing="", policies=False) if suite is not None else World()
    )
    loaded = world.suite
    if loaded is None:
        raise UsageError("no declaration given: name a suite, or use --from-cluster to propose one")
    pods = loaded.topology.cluster() if loaded.topology is not None else world.live or Cluster()
    say_warnings(pods)
    with uncollected():
        pods_only = replace(pods, policies=())
        made = generate_for(
            loaded, pods_only, chosen, dns=not flags.no_dns, namespace_label=flags.namespace_label
        )
    if flags.output_dir is not None:
        _save_all(flags.output_dir, made.texts)
    else:
        write(lambda _format, _style: ["---\n".join(made.texts.values())], flags.out)
    policies = "1 policy" if len(made.texts) == 1 else f"{len(made.texts):,} policies"
    say(f"{policies}; in the simulator, {made.flows:,} of {made.flows:,} flows as declared")
    return _verify(loaded, made.texts, chosen) if flags.verify else 0


def _propose(cluster: Cluster, out: options.OutputFlags, profile: Profile) -> int:
    from netprobe.generate import propose
    from netprobe.generate.text import declaration

    if not cluster.pods:
        raise UsageError("no pods found: a declaration is about flows between pods")
    text = declaration(propose(cluster, profile), "proposed", cluster.warnings)
    write(lambda _format, _style: [text], out)
    return 0


def _save_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files into a folder, and remove files of an earlier generation that are no longer needed.

    UsageError, before anything is written, if the folder contains manifests that generate did not write.
    """
    from netprobe.generate.text import MARK

    if folder.is_file():
        raise UsageError(f"{folder} is a file: --output-dir names a folder for the policies")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = {path.name: path for path in sorted(folder.iterdir()) if path.suffix in READ}
        foreign = [path for path in present.values() if not path.read_bytes().startswith(MARK.encode())]
        if foreign:
            raise UsageError(
                f"{foreign[0]} was not written by netprobe generate, and would be applied with the policies: "
                "choose another folder"
            )
        for name, text in texts.items():
            save(folder / name, [text])
        for name, path in present.items():
            if name not in texts:
                path.unlink()
    except OSError as error:
        raise NetprobeError(f"cannot write {error.filename or folder}: {error.strerror}") from error


def _verify(suite: Suite, texts: Mapping[str, str], profile: Profile) -> int:
    """Run the suite with the new policies on a lab."""
    from netprobe.cli.progress import run_with_progress
    from netprobe.manifests import Reader, parse_policy
    from netprobe.report import FORMATS
    from netprobe.run.cluster import RunOptions
    from netprobe.run.driver import run
    from netprobe.run.fixture import FixtureMode

    reader = Reader()
    documents = tuple(document for name, text in texts.items() for document in reader.text(name, text))
    policies = tuple(map(parse_policy, documents))
    suite = replace(suite, policies=documents, parsed=policies, steps=())
    report = run_with_progress(
        lambda progress: run(FixtureMode(suite), RunOptions(profile=profile), progress)
    )
    if report.exit_status:
        sys.stderr.writelines(FORMATS.render(report, "table"))
    say(f"on the lab: {report.counts.as_expected:,} of {report.counts.flows:,} flows as declared")
    return report.exit_status
