"""`netprobe generate`: policies from a declaration, or a declaration from what is allowed today."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netprobe.cli.app import Invocation
from netprobe.cli.frame import say
from netprobe.cli.options import cluster_options, examples, filename_option, profile_option
from netprobe.errors import InputError, NetprobeError, Problem, UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict

if TYPE_CHECKING:
    from netprobe.generate import Generated, Refusal
    from netprobe.simulate import Profile
    from netprobe.suite import ExpectationRow, Suite


@click.command
@click.argument("suite", required=False, type=click.Path())
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="A folder for the policies, one file each; with --from-cluster, the suite's file.",
)
@filename_option
@cluster_options
@click.option("--no-dns", is_flag=True, help="Do not open the cluster's DNS where egress is closed.")
@click.option(
    "--namespace-label",
    metavar="KEY",
    help="Select namespaces by this label where it tells them apart, not by their names.",
)
@click.option("--verify", is_flag=True, help="Run the suite with the new policies on a lab, too.")
@click.option(
    "--from-cluster",
    "proposes",
    is_flag=True,
    help="The other way round: propose rows from what -f or --context allows today (-o: a file).",
)
@profile_option
@examples("""
netprobe generate suite.yaml                       # the policies, proved by the simulator
netprobe generate suite.yaml -o policies/ --verify # into files; probed on a lab
netprobe generate suite.yaml -f cluster.yaml       # for a suite without a topology
netprobe generate --from-cluster --context staging -o suite.yaml
""")
@click.pass_obj
def command(
    invocation: Invocation,
    *,
    suite: str | None,
    output: str | None,
    filenames: Sequence[str],
    kubeconfig: str | None,
    context: str | None,
    request_timeout_s: float,
    no_dns: bool,
    namespace_label: str | None,
    verify: bool,
    proposes: bool,
    profile: str,
) -> int:
    """Write the NetworkPolicies under which exactly the declared matrix of SUITE passes.

    A default deny for each namespace that must be closed, one policy a subject, exact ports. With `default:
    deny` every namespace is closed in both directions; else as few as it takes. The set is proved by the
    simulator before it is written. The suite's own policies, and its steps, are left aside.

    Exit status: 2 where no policies can meet the declaration, with the pods and the flows; with --verify
    that of the run.
    """
    from netprobe.simulate import profile as profile_of
    from netprobe.simulate.bits import uncollected

    chosen = profile_of(profile)
    live = bool(kubeconfig or context or (invocation.plugin and not filenames and (proposes or not suite)))
    if live and filenames:
        raise UsageError("-f and --context name two different clusters: give one")
    if proposes:
        if suite is not None or verify:
            raise UsageError("--from-cluster proposes a suite: it takes none, and has nothing to --verify")
        if not (live or filenames):
            raise UsageError("what is allowed where? Name manifests by -f, or a cluster by --context")
        return _propose(_world(filenames, kubeconfig, context, request_timeout_s), output, chosen)
    if suite is None:
        raise UsageError("what is declared? Name a suite, or ask for a proposal by --from-cluster")
    from netprobe.suite import load

    read = load(suite, policies=False)
    if read.topology is not None and (live or filenames):
        raise UsageError(f"{suite} has a topology of its own: -f and --context are for suites without one")
    if read.topology is None and not (live or filenames):
        raise UsageError(f"{suite} has no topology: name the cluster by -f or --context")
    if read.topology is not None:
        cluster = read.topology.cluster()
    else:
        cluster = _world(filenames, kubeconfig, context, request_timeout_s)
    with uncollected():
        made = _made(read, replace(cluster, policies=()), chosen, dns=not no_dns, label=namespace_label)
    _give_out(made, output)
    return _verify(read, made.texts, chosen) if verify else 0


def _world(
    filenames: Sequence[str], kubeconfig: str | None, context: str | None, request_timeout_s: float
) -> Cluster:
    if filenames:
        from netprobe.cli.manifests import read_cluster

        return read_cluster(filenames)
    from netprobe.cli.live import live_cluster

    return live_cluster(kubeconfig, context, request_timeout_s)


def _propose(cluster: Cluster, output: str | None, profile: Profile) -> int:
    from netprobe.cli.generated import declaration
    from netprobe.generate import propose

    if not cluster.pods:
        raise UsageError("there is no pod: a declaration says which pods may talk")
    text = declaration(propose(cluster, profile), "proposed")
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise NetprobeError(f"cannot write {output}: {error.strerror}") from error
    return 0


@dataclass(frozen=True, slots=True)
class _Made:
    texts: Mapping[str, str]  # by the names of files
    flows: int


def _made(suite: Suite, cluster: Cluster, profile: Profile, *, dns: bool, label: str | None) -> _Made:
    """The policies as text, proved; InputError where no policies can meet the declaration."""
    from netprobe.cli.generated import file_name, manifest
    from netprobe.generate import apart, generate
    from netprobe.generate.declared import crowded

    expected = suite.expectation
    found = generate(
        crowded(expected, cluster, apart),
        cluster,
        denies_by_default=expected.default is Verdict.DENY,
        dns=dns,
        namespace_label=label,
        named={number: _named(row) for number, row in enumerate(expected.rows)},
        profile=profile,
    )
    if found.refusals:
        raise InputError(dict.fromkeys(_problem(one, suite) for one in found.refusals))
    words = [_words(row) for row in expected.rows]
    texts = {file_name(made): manifest(made, words, Path(suite.file).name) for made in found.policies}
    _reread(texts, found)
    return _Made(texts, found.flows)


def _give_out(made: _Made, output: str | None) -> None:
    from netprobe.cli.generated import save_all

    if output is not None:
        save_all(Path(output), made.texts)
    else:
        sys.stdout.write("---\n".join(made.texts.values()))
    policies = "1 policy" if len(made.texts) == 1 else f"{len(made.texts):,} policies"
    say(f"{policies}, proved by the simulator on {made.flows:,} declared flows")


def _named(row: ExpectationRow) -> frozenset[Direction]:
    """The directions in which a row names its peers as themselves, and not by "ns/*" or "*"."""
    from netprobe.suite.ends import Everybody, PodPattern

    ends = ((Direction.INGRESS, row.source), (Direction.EGRESS, row.destination))
    return frozenset(
        direction
        for direction, peers in ends
        if not any(isinstance(p, Everybody) or (isinstance(p, PodPattern) and p.name == "*") for p in peers)
    )


def _words(row: ExpectationRow) -> str:
    ends = [", ".join(map(str, end)) for end in (row.source, row.destination)]
    ports = ", ".join(map(str, row.ports)) if row.ports is not None else "every declared port"
    return f"{ends[0]} -> {ends[1]}: {ports}"


def _problem(refusal: Refusal, suite: Suite) -> Problem:
    """At the row of the first flow; the others are named in the text."""
    rows = [suite.expectation.rows[number] if number is not None else None for number in refusal.rows]
    told = [refusal.reason]
    for flow, row in zip(refusal.flows[1:], rows[1:], strict=False):
        told.append(f"{flow} is declared at {row.place}" if row else f"{flow} is what the default says")
    first = rows[0] if rows else None
    if first is None:
        return Problem(suite.file, "expect.default", "; ".join(told))
    return Problem(first.place, first.path, "; ".join(told))


def _reread(texts: Mapping[str, str], found: Generated) -> None:
    """What is written means what was proved: the texts are read again."""
    from netprobe.manifests import Reader, parse_policy

    reader = Reader()
    read = [parse_policy(document) for name, text in texts.items() for document in reader.text(name, text)]
    if reader.problems or read != [made.policy for made in found.policies]:
        raise NetprobeError("the policies as written do not say what was proved; nothing is given out")


def _verify(suite: Suite, texts: Mapping[str, str], profile: Profile) -> int:
    """The main job with the new policies, on a lab of its own."""
    from netprobe.cli.narration import run_narrated
    from netprobe.manifests import Reader, parse_policy
    from netprobe.report import FORMATS
    from netprobe.run.fixture import Campaign
    from netprobe.run.terms import Terms

    reader = Reader()
    documents = tuple(document for name, text in texts.items() for document in reader.text(name, text))
    policies = tuple(map(parse_policy, documents))
    suite = replace(suite, policies=documents, parsed=policies, steps=())
    campaign = Campaign(suite, Terms(profile=profile))
    report = run_narrated(campaign.run)
    if report.exit_status:
        sys.stderr.writelines(FORMATS.render(report, "table"))
    say(f"on the lab: {report.counts.as_expected:,} of {report.counts.flows:,} flows as declared")
    return report.exit_status
