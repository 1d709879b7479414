"""Options that belong together, which reach a command as one record each.

`ClusterFlags`, `LabFlags`, `PodFlags` and `Selection` are made by the decorators below them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from netprobe.cli import complete
from netprobe.cli.options import as_record, duration_option, flag, port_option, repeatable
from netprobe.cli.parameters import EXTERNAL, PAIR, TOLERATION, PortArgument
from netprobe.cli.streams import ensure_open_files
from netprobe.errors import UsageError
from netprobe.model.flow import External
from netprobe.report.style import Detail

if TYPE_CHECKING:
    from netprobe.lab import LabOptions
    from netprobe.probe import PodOptions
    from netprobe.run.target import ClusterChoice

IMAGE: Final = "docker.io/library/alpine:3.20"


@dataclass(frozen=True, slots=True)
class ClusterFlags:
    """The cluster of a kubeconfig, or a lab that is running."""

    kubeconfig: str | None = None
    context: str | None = None
    lab_name: str | None = None
    request_timeout_s: float = 30.0

    def __bool__(self) -> bool:
        """Whether they name a cluster."""
        return bool(self.kubeconfig or self.context or self.lab_name)

    def choice(self, *, current: bool = False) -> ClusterChoice:
        """The cluster to use; with `current` that of the current context if no other is named.

        UsageError if the options name two clusters; NetprobeError if too few files may be open for any.
        """
        from netprobe.run.target import ClusterChoice

        ensure_open_files()
        if self.lab_name and (self.kubeconfig or self.context):
            raise UsageError("--lab and --kubeconfig/--context name two different clusters: use one of them")
        return ClusterChoice(self.kubeconfig, self.context, current, self.lab_name)


cluster_options: Final = as_record(
    "cluster",
    ClusterFlags,
    click.option(
        "--kubeconfig", metavar="PATH", type=click.Path(), help="Path to the kubeconfig file to use."
    ),
    click.option(
        "--context",
        metavar="NAME",
        shell_complete=complete.contexts,
        help="The name of the kubeconfig context to use.",
    ),
    click.option(
        "--lab",
        "lab_name",
        metavar="NAME",
        shell_complete=complete.labs,
        help="Use the lab NAME (see `netprobe lab up`).",
    ),
    duration_option(
        "--request-timeout",
        "request_timeout_s",
        default="30s",
        help="How long to wait for a response of the API server; 0 means no limit.",
    ),
    heading="Cluster",
)


@dataclass(frozen=True, slots=True)
class LabFlags:
    """How to start a lab for the command."""

    lab_nodes: int
    lab_no_enforcement: bool
    lab_lag: float
    lab_deny_with: str


lab_options: Final = as_record(
    "lab",
    LabFlags,
    click.option(
        "--lab-nodes",
        type=click.IntRange(1),
        default=1,
        help="Number of nodes of the lab made for this run.",
    ),
    flag("--lab-no-enforcement", "The lab accepts policies but does not enforce them, as some CNIs do."),
    duration_option("--lab-lag", default="0s", help="Delay before the lab enforces a change."),
    click.option(
        "--lab-deny-with",
        type=click.Choice(["drop", "reject"]),
        default="drop",
        help="How the lab denies a packet.",
    ),
    heading="Lab made for this run",
)


def resolve_target(
    ctx: click.Context, cluster: ClusterFlags, lab: LabFlags
) -> tuple[ClusterChoice, LabOptions]:
    """The cluster to use, and the lab to start.

    UsageError if the options name two clusters, or combine a cluster with options of a new lab.
    """
    from netprobe.lab import LabOptions

    target = cluster.choice(current=ctx.obj.plugin)
    faults = [
        field.name
        for field in fields(lab)
        if ctx.get_parameter_source(field.name) is not click.core.ParameterSource.DEFAULT
    ]
    if faults and not target.is_ephemeral_lab:
        raise UsageError(
            f"--{faults[0].replace('_', '-')} needs a lab made for this run, not an existing cluster"
        )
    options = LabOptions(
        nodes=lab.lab_nodes,
        enforce=not lab.lab_no_enforcement,
        lag_s=lab.lab_lag,
        deny_with="reject" if lab.lab_deny_with == "reject" else "drop",
    )
    return target, options


@dataclass(frozen=True, slots=True)
class PodFlags:
    """How the probe pods are made."""

    image: str
    registry: str | None
    pull_secret: str | None
    node_selectors: Sequence[tuple[str, str]]
    tolerations: Sequence[dict[str, str]]
    print_images: bool

    @property
    def images(self) -> tuple[str, ...]:
        """The images that the cluster's nodes have to have."""
        from netprobe.model.image import mirrored

        return (mirrored(self.image, self.registry),)

    def options(self, lifetime_s: int = 3600) -> PodOptions:
        """The options of the pods; each ends by itself after `lifetime_s`."""
        from netprobe.probe import PodOptions

        return PodOptions(
            self.images[0], lifetime_s, self.pull_secret, dict(self.node_selectors), tuple(self.tolerations)
        )


_pod_options: Final = as_record(
    "pods",
    PodFlags,
    click.option(
        "--image",
        metavar="IMAGE",
        default=IMAGE,
        help="Image of the probe pods; it needs a shell and nc.",
    ),
    click.option(
        "--registry",
        metavar="HOST[/PREFIX]",
        help="Pull the image from this mirror: replaces the host in its name.",
    ),
    click.option(
        "--pull-secret",
        metavar="NAME",
        help="Image pull secret; it must exist in every namespace that is used.",
    ),
    repeatable(
        "--node-selector",
        "node_selectors",
        type=PAIR,
        metavar="KEY=VALUE",
        help="Run probe pods only on nodes with this label.",
    ),
    repeatable(
        "--toleration",
        "tolerations",
        type=TOLERATION,
        metavar="KEY[=VALUE][:EFFECT]",
        help="A taint that probe pods tolerate; * for every taint.",
    ),
    flag(
        "--print-images", "Print the images that nodes need (for clusters without internet access), and exit."
    ),
    heading="Probe pods",
)


def pod_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of probe pods, as a PodFlags called `pods`; --print-images is answered here."""

    @wraps(function)
    def command(*arguments: Any, pods: PodFlags, **values: Any) -> Any:
        if pods.print_images:
            print("\n".join(pods.images))
            return 0
        return function(*arguments, pods=pods, **values)

    return _pod_options(command)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which flows of a cluster to list."""

    sources: Sequence[str] = ()
    destinations: Sequence[str] = ()
    ports: Sequence[PortArgument] = ()
    externals: Sequence[External] = ()


_FLOWS: Final = (
    port_option,
    repeatable(
        "--from",
        "sources",
        metavar="POD",
        shell_complete=complete.pods,
        help="Only flows from these pods: NAMESPACE/POD, may contain *.",
    ),
    repeatable(
        "--to",
        "destinations",
        metavar="POD",
        shell_complete=complete.destinations,
        help="Only flows to these pods, or to svc:NAMESPACE/NAME.",
    ),
)

flow_options: Final = as_record("selection", Selection, *_FLOWS, heading="Which flows")
"""--port, --from and --to."""

selection_options: Final = as_record(
    "selection",
    Selection,
    *_FLOWS,
    repeatable(
        "--external",
        "externals",
        type=EXTERNAL,
        metavar="ADDRESS",
        help="Include an address outside the cluster, as source and destination.",
    ),
    heading="Which flows",
)


@dataclass(frozen=True, slots=True)
class ViewFlags:
    """How much of a report to show."""

    everything: bool = False
    grouped: bool = False
    only_differences: bool = False

    @property
    def detail(self) -> Detail:
        if self.everything and self.grouped:
            raise UsageError("--all shows every flow and --group one row for many: use one of them")
        return Detail.ALL if self.everything else Detail.GROUPS if self.grouped else Detail.AUTO


view_options: Final = as_record(
    "view",
    ViewFlags,
    flag("--all", "Show every flow, however many there are, one by one.", "everything"),
    click.option(
        "--group", "--grouped", "grouped", is_flag=True, help="Show pods that behave alike in one row."
    ),
    flag("--only-differences", "Show only flows that are not as expected, in every format."),
    heading="Which flows",
)
