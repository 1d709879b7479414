"""`netprobe impact`: which flows open, close, or change their reason, if a change of policies is applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from netprobe.cli.app import Invocation
from netprobe.cli.options import (
    PortArgument,
    ReportFile,
    cluster_options,
    examples,
    output_option,
    port_option,
    profile_option,
)
from netprobe.errors import UsageError
from netprobe.impact import Edit, edited, impact
from netprobe.model.flow import PodRef
from netprobe.model.matrix import Matrix
from netprobe.model.policy import PolicyRef
from netprobe.model.verdict import Verdict
from netprobe.report.impact import IMPACT_FORMATS, render_impact

if TYPE_CHECKING:
    from netprobe.suite import Suite


@click.command
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="What would be applied: a file or folder of manifests, or - for standard input. Repeatable.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="What is there now: files or folders. Repeatable.",
)
@cluster_options
@click.option("--prune", is_flag=True, help="-f is the complete set: policies that it lacks are deleted.")
@click.option(
    "--prune-namespace",
    "prune_namespaces",
    multiple=True,
    metavar="NAME",
    help="-f is the complete set for this namespace. Repeatable.",
)
@click.option(
    "--delete", "deletes", multiple=True, metavar="NAMESPACE/NAME", help="Delete this policy. Repeatable."
)
@click.option("-n", "--namespace", metavar="NAME", help="Where manifests that name no namespace will land.")
@click.option(
    "--expect",
    "suite",
    type=click.Path(),
    metavar="SUITE",
    help="The declaration: exit 1 where a flow that it allows would close, or one that it denies open.",
)
@port_option
@profile_option
@output_option(IMPACT_FORMATS)
@examples("""
netprobe impact -f new.yaml --context staging          # as kubectl apply: what is not mentioned stays
netprobe impact -f policies/ --against /tmp/main/policies/ --prune   # two complete sets, as in git
netprobe impact -f policies/ -f workloads/ --against /tmp/main/policies/ --prune -o markdown
netprobe impact -f policies/ --expect suite.yaml       # against the suite's own pods and policies
netprobe impact --delete shop/default-deny --context staging
""")
@click.pass_obj
def command(
    invocation: Invocation,
    *,
    filenames: Sequence[str],
    against: Sequence[str],
    kubeconfig: str | None,
    context: str | None,
    request_timeout_s: float,
    prune: bool,
    prune_namespaces: Sequence[str],
    deletes: Sequence[str],
    namespace: str | None,
    suite: str | None,
    ports: Sequence[PortArgument],
    profile: str,
    output: str,
    reports: Sequence[ReportFile],
) -> int:
    """Say which flows open, close, or change their reason, if manifests are applied.

    What is in -f is added or replaced, and the rest of what is there now stays, as with `kubectl apply`;
    --prune makes -f the complete set of policies. Pods and namespaces may be on either side.

    The most dangerous comes first: flows that --expect needs and that would close, then flows from outside
    that would open. Policies that do nothing beside the others are named, and rules that no flow needs.

    Exit status: 1 where the change is against the declaration of --expect, 3 where that cannot be told,
    else 0.
    """
    from netprobe.cli.emit import write
    from netprobe.cli.impact_input import both, whole
    from netprobe.simulate import profile as profile_of

    if not filenames and not deletes:
        raise UsageError("what would be applied? Name manifests by -f, or a policy by --delete")
    live = bool(kubeconfig or context or (invocation.plugin and not against))
    if live and against:
        raise UsageError("against what? --against and --context name two different states: give one")
    if (prune or prune_namespaces) and not filenames:
        raise UsageError("--prune deletes what -f lacks: name the complete set by -f")
    if "-" in filenames and "-" in against:
        raise UsageError("standard input can be one side only: -f - or --against -")
    declares = _suite(suite)
    new, old = both(filenames, against or None, namespace or "default")
    if live:
        from netprobe.cli.live import live_cluster

        old = whole(live_cluster(kubeconfig, context, request_timeout_s))
    elif old is None:
        if declares is None or declares.topology is None:
            raise UsageError(
                "against what? Name the state by --against, a cluster by --context, "
                "or a suite with a topology by --expect"
            )
        old = whole(declares.cluster())
    edit = edited(
        old,
        new,
        prunes=_prunes(prune, frozenset(prune_namespaces)),
        delete=[_policy(text) for text in deletes],
    )
    found = impact(
        edit,
        profile=profile_of(profile),
        ports=[(port.number, port.protocol) for port in ports],
        declared=_declared(declares, edit),
    )
    write(partial(render_impact, found), output, reports)
    return found.exit_status


def _suite(path: str | None) -> Suite | None:
    from netprobe.suite import load

    return load(path) if path is not None else None


def _declared(suite: Suite | None, edit: Edit) -> Matrix[Verdict] | None:
    """What the suite declares of the pods as they would be, before its first step."""
    from netprobe.suite import Declaration

    return Declaration(suite.expectation, edit.new).matrix() if suite is not None else None


def _prunes(everywhere: bool, namespaces: frozenset[str]) -> Callable[[PolicyRef], bool]:
    return lambda ref: everywhere or ref.namespace in namespaces


def _policy(text: str) -> PolicyRef:
    try:
        ref = PodRef.parse(text)
    except ValueError as error:
        raise UsageError(f"--delete {text}: not of the form NAMESPACE/NAME") from error
    return PolicyRef(ref.namespace, ref.name)
