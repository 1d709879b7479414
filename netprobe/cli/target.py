"""The cluster that a command's options name."""

from __future__ import annotations

import click

from netprobe.errors import UsageError
from netprobe.lab import LabOptions
from netprobe.run.options import Target


def meant(
    ctx: click.Context,
    kubeconfig: str | None,
    context: str | None,
    *,
    lab_name: str | None,
    lab_nodes: int,
    lab_no_enforcement: bool,
    lab_lag: float,
    lab_deny_with: str,
) -> tuple[Target, LabOptions]:
    """The cluster that a command's options name; UsageError where they name two, or faults for a real one."""
    target = Target(kubeconfig, context, ctx.obj.plugin, lab_name)
    if lab_name and (kubeconfig or context):
        raise UsageError("--lab and --kubeconfig/--context name two different clusters: give one")
    faults = [
        name
        for name in ("lab_nodes", "lab_no_enforcement", "lab_lag", "lab_deny_with")
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    if faults and not target.is_ephemeral_lab:
        raise UsageError(f"--{faults[0].replace('_', '-')} is for the lab that a run makes for itself")
    options = LabOptions(
        nodes=lab_nodes,
        enforce=not lab_no_enforcement,
        lag_s=lab_lag,
        deny_with="reject" if lab_deny_with == "reject" else "drop",
    )
    return target, options
