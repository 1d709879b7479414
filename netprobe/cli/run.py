"""`netprobe run`: the main job. Declared, simulated and observed, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import click

from netprobe.cli.inplace_options import InPlaceOptions, inplace_options, tried, visited
from netprobe.cli.options import (
    ReportFile,
    cluster_options,
    examples,
    lab_options,
    output_option,
    profile_option,
    ready_option,
    wait_option,
)
from netprobe.cli.pod_options import PodFlags, pod_options, print_images
from netprobe.errors import UsageError
from netprobe.model.flow import Family

FAMILIES: Final[Mapping[str | None, Family | None]] = {None: None, "ipv4": 4, "ipv6": 6}


@click.command
@click.argument("suite", type=click.Path(), required=False)
@cluster_options
@lab_options
@pod_options
@ready_option("120s")
@wait_option
@click.option(
    "--placement",
    type=click.Choice(["same", "other", "both"]),
    help="Probe flows from their destination's node, from another one, or from both as rows of their own.",
)
@click.option(
    "--ip-family",
    type=click.Choice(["ipv4", "ipv6"]),
    help="Where pods have addresses of both families, probe flows in this one only.",
)
@inplace_options
@profile_option
@output_option()
@examples("""
netprobe run manifests/two-tier/suite.yaml                 # on a lab made for this run
netprobe run suite.yaml -o wide --report junit=junit.xml   # the matrix, and a file for the pipeline
netprobe run --context kind-kind suite.yaml                # on a cluster of your kubeconfig
netprobe run --context prod suite.yaml --in-place          # the pods that are there; --dry-run shows how
netprobe run --lab-no-enforcement suite.yaml               # what a CNI that enforces nothing looks like
""")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    suite: str | None,
    kubeconfig: str | None,
    context: str | None,
    request_timeout_s: float,
    ready_s: float,
    wait_s: float,
    placement: str | None,
    ip_family: str | None,
    profile: str,
    output: str,
    reports: Sequence[ReportFile],
    **others: Any,
) -> int:
    """Probe every flow that SUITE declares, and compare with what its policies say.

    The suite's namespaces, pods and policies are created, every flow is tried by `nc -zv` in the source
    pod, and everything is removed again. Without --kubeconfig, --context or --lab this happens on a lab
    made for the run, whatever $KUBECONFIG says.
    """
    from netprobe.cli.emit import emit
    from netprobe.cli.narration import run_narrated
    from netprobe.cli.target import meant
    from netprobe.probe import Deadlines, Pace
    from netprobe.run.fixture import Campaign
    from netprobe.run.placement import CHOICES, Placing
    from netprobe.run.terms import Terms
    from netprobe.simulate import profile as profile_of
    from netprobe.suite import load

    beside, flags = InPlaceOptions.taken_from(others), PodFlags.taken_from(others)
    target, options = meant(ctx, kubeconfig, context, **others)
    if flags.print_images:
        return print_images(flags)
    beside.check(suite)
    what = load(suite) if suite is not None else None
    terms = Terms(
        target=target,
        lab=options,
        pods=flags.pods(),
        deadlines=Deadlines(ready_s=ready_s),
        pace=Pace(wait_s=wait_s, start_s=min(20.0, request_timeout_s or 20.0)),
        profile=profile_of(profile),
        request_timeout_s=request_timeout_s,
        family=FAMILIES[ip_family],
    )
    if placement and (beside.in_place or (what is not None and what.topology is None)):
        raise UsageError("--placement is for pods that a run makes: in place they are where they are")
    if beside.shadow_namespace:
        from netprobe.run.trial import Trial

        trial = Trial(beside.filenames, what, terms, sample=beside.sample, seed=beside.seed)
        return tried(trial, output, reports, dry_run=beside.dry_run)
    if what is None:
        raise click.MissingParameter(ctx=ctx, param_hint="SUITE", param_type="argument")
    if beside.in_place or what.topology is None:
        from netprobe.run.visit import Visit

        visit = Visit(
            what,
            replace(terms, pods=replace(terms.pods, lifetime_s=beside.lifetime_whole_s)),
            ways=beside.ways,
            sample=beside.sample,
            seed=beside.seed,
            disturb=beside.disturb,
        )
        return visited(visit, output, reports, dry_run=beside.dry_run)
    beside.refuse_elsewhere()
    campaign = Campaign(what, terms, Placing(CHOICES[placement] if placement else ()))
    return emit(run_narrated(campaign.run), output, reports)
