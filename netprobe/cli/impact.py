"""`netprobe impact`: which flows open, close, or are decided otherwise, if manifests are applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from netprobe.cli import options
from netprobe.cli.command import invocation
from netprobe.cli.flags import ClusterFlags
from netprobe.cli.inputs import live_cluster, tier_option
from netprobe.cli.parameters import POLICY, PortArgument
from netprobe.cli.progress import shown
from netprobe.errors import UsageError
from netprobe.impact import Snapshot, impact, read_snapshots, revise
from netprobe.model.policy import PolicyRef, Tier
from netprobe.policies.records import with_records
from netprobe.report import IMPACT_FORMATS
from netprobe.report.style import Detail

if TYPE_CHECKING:
    from netprobe.suite import Suite


@dataclass(frozen=True, slots=True)
class ImpactFlags(options.Flags):
    paths: Sequence[str] = options.argument(nargs=-1, type=click.Path(allow_dash=True))
    filenames: Sequence[str] = options.filenames(
        "Manifests that would be applied: a file, a folder, or - for standard input. Repeatable."
    )
    against: Sequence[str] = options.repeatable(
        "--against PATH",
        "Current state: files or folders, or a suite with a topology.",
        type=click.Path(allow_dash=True),
    )
    cluster: ClusterFlags = options.nested(ClusterFlags)
    prune: bool = options.flag(
        "--prune", "Treat -f as the complete set of policies: delete those that it lacks."
    )
    prune_namespaces: Sequence[str] = options.repeatable(
        "--prune-namespace NAME", "Like --prune, but for this namespace only."
    )
    staged: bool = options.flag(
        "--staged", "Show what changes if the current staged policies (Calico) are enforced."
    )
    deletes: Sequence[PolicyRef] = options.repeatable(
        "--delete NAMESPACE/NAME", "Delete this policy.", type=POLICY
    )
    namespace: str | None = options.namespace()
    tiers: Sequence[Tier] = tier_option()
    expect: str | None = options.option(
        "--expect SUITE",
        "Exit with status 1 if a flow that SUITE allows would close, or one that it denies would open.",
        type=click.Path(),
    )
    ports: Sequence[PortArgument] = options.port()
    everything: bool = options.flag("--all", "Also show flows that keep their verdict for another reason.")
    profile: str = options.profile()
    out: options.OutputFlags = options.output(IMPACT_FORMATS.names)


@options.as_command(ImpactFlags)
def command(flags: ImpactFlags) -> int:
    """Show which flows open, close, or are decided by other policies if manifests are applied.

    Objects in PATHS (or -f) are added, or replace those with the same name; everything else stays, as with
    `kubectl apply`. With --prune, PATHS are the complete set of policies. The current state is a cluster,
    --against, or the suite given with --expect. Staged policies (Calico) in PATHS count as enforced.

    The most dangerous changes come first: flows that --expect allows and that would close, then flows from
    outside that would open. Policies and rules that could be removed without any effect come last.

    Exit status: 0, 1 if the change contradicts the suite of --expect, 3 if netprobe cannot tell.

    Examples:
      netprobe impact new.yaml --context staging             # as with kubectl apply: the rest stays
      netprobe impact policies/ --against main/policies/ --prune -o markdown   # two complete sets, as in git
      netprobe impact policies/ --expect suite.yaml          # compared with the suite's own pods and policies
      netprobe impact --delete shop/default-deny --context staging
      netprobe impact --staged --context staging             # what the cluster's staged policies would change
    """
    from netprobe.cli.emit import write
    from netprobe.simulate import port_numbers
    from netprobe.simulate import profile as profile_of
    from netprobe.suite import Declaration, is_suite, load

    filenames = [*flags.paths, *flags.filenames]
    live = bool(flags.cluster or (invocation().plugin and not flags.against))
    for wrong, message in (
        (
            not (filenames or flags.deletes or flags.staged),
            "nothing to compare: name manifests, or a policy with --delete",
        ),
        (live and flags.against, "--against and --context name two different states: use one of them"),
        (live and flags.tiers, "--tier is for manifests: a cluster has its own tiers"),
        (
            (flags.prune or flags.prune_namespaces) and not filenames,
            "--prune deletes what -f lacks: name the complete set of policies",
        ),
        ("-" in filenames and "-" in flags.against, "standard input can be read only once: use - once"),
    ):
        if wrong:
            raise UsageError(message)
    if suites := list(filter(is_suite, filenames)):
        raise UsageError(
            f"{suites[0]} is a suite: name the manifests that would be applied; a suite is for --against"
        )
    state = _suite_of(flags.against)
    suite = load(flags.expect) if flags.expect is not None else None
    new, old = _read([filenames, () if state is not None else flags.against], flags.namespace or "default")
    if live:
        old = Snapshot.complete(live_cluster(flags.cluster))
    elif state is not None:
        old = Snapshot.complete(state.cluster())
    elif not flags.against:
        if suite is None or suite.topology is None:
            raise UsageError(
                "no current state given: use --against, --context, or --expect with a topology in the suite"
            )
        old = Snapshot.complete(suite.cluster())
    revision = revise(
        replace(old, cluster=with_records(old.cluster, flags.tiers)),
        new,
        prunes=lambda ref: flags.prune or ref.namespace in flags.prune_namespaces,
        staged=flags.staged,
        delete=flags.deletes,
    )
    # What the suite declares before its first step, for the pods as they would be.
    declared = Declaration(suite.expectation, revision.after).matrix() if suite is not None else None
    found = impact(
        revision,
        profile=profile_of(flags.profile),
        ports=port_numbers(revision.after, flags.ports),
        declared=declared,
    )
    write(IMPACT_FORMATS.of(found), flags.out, Detail.ALL if flags.everything else Detail.AUTO)
    return found.exit_status


def _suite_of(against: Sequence[str]) -> Suite | None:
    """The suite that is the current state, if one is named. UsageError if it cannot be that."""
    from netprobe.suite import is_suite, load

    suites = [path for path in against if path != "-" and is_suite(path)]
    if not suites:
        return None
    if len(against) > 1:
        raise UsageError(f"--against {suites[0]}: a suite is the whole current state: name nothing else")
    suite = load(suites[0])
    if suite.topology is None:
        raise UsageError(f"--against {suites[0]}: this suite has no topology: name the cluster's manifests")
    return suite


def _read(sides: Sequence[Sequence[str]], namespace: str) -> list[Snapshot]:
    with shown() as progress:
        progress("reading manifests")
        return read_snapshots(sides, namespace)
