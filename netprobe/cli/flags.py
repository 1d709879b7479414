"""Options that belong together: records that several commands contain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Final

import click

from netprobe.cli import complete, options
from netprobe.cli.command import invocation, is_given
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
class ClusterFlags(options.Flags):
    HEADING: ClassVar = "Cluster"
    kubeconfig: str | None = options.option(
        "--kubeconfig PATH", "Path to the kubeconfig file to use.", type=click.Path()
    )
    context: str | None = options.option(
        "--context NAME", "The name of the kubeconfig context to use.", shell_complete=complete.contexts
    )
    lab_name: str | None = options.option(
        "--lab NAME", "Use the running lab NAME (see `netprobe lab up`).", shell_complete=complete.labs
    )
    request_timeout_s: float = options.duration(
        "--request-timeout",
        "How long to wait for a response from the API server; 0 means no limit.",
        default="30s",
    )

    def __bool__(self) -> bool:
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


@dataclass(frozen=True, slots=True)
class LabFlags(options.Flags):
    HEADING: ClassVar = "Lab created for this run"
    lab_nodes: int = options.option(
        "--lab-nodes N", "Number of nodes of the lab.", type=click.IntRange(1), default=1
    )
    lab_no_enforcement: bool = options.flag(
        "--lab-no-enforcement", "The lab accepts policies but does not enforce them, as some CNIs do."
    )
    lab_lag: float = options.duration(
        "--lab-lag", "Enforce each change of policies this much later.", default="0s"
    )
    lab_deny_with: str = options.option(
        "--lab-deny-with",
        "What the lab does with a denied packet.",
        type=click.Choice(["drop", "reject"]),
        default="drop",
    )


def resolve_target(cluster: ClusterFlags, lab: LabFlags) -> tuple[ClusterChoice, LabOptions]:
    """The cluster to use, and the lab to start.

    UsageError if the options name two clusters, or combine a cluster with options of a new lab.
    """
    from netprobe.lab import LabOptions

    target = cluster.choice(current=invocation().plugin)
    faults = [each.name for each in fields(lab) if is_given(each.name)]
    if faults and not target.is_ephemeral_lab:
        raise UsageError(
            f"--{faults[0].replace('_', '-')} needs a lab made for this run, not an existing cluster"
        )
    wanted = LabOptions(
        nodes=lab.lab_nodes,
        enforce=not lab.lab_no_enforcement,
        lag_s=lab.lab_lag,
        deny_with="reject" if lab.lab_deny_with == "reject" else "drop",
    )
    return target, wanted


@dataclass(frozen=True, slots=True)
class PodFlags(options.Flags):
    HEADING: ClassVar = "Probe pods"
    image: str = options.option(
        "--image IMAGE", "Image for the probe pods; it needs a shell and BusyBox's nc.", default=IMAGE
    )
    registry: str | None = options.option(
        "--registry HOST[/PREFIX]", "Pull the image from this mirror, which replaces the host in its name."
    )
    pull_secret: str | None = options.option(
        "--pull-secret NAME", "Image pull secret. It must exist in every namespace that is used."
    )
    node_selectors: Sequence[tuple[str, str]] = options.repeatable(
        "--node-selector KEY=VALUE", "Run probe pods only on nodes with this label.", type=PAIR
    )
    tolerations: Sequence[dict[str, str]] = options.repeatable(
        "--toleration KEY[=VALUE][:EFFECT]",
        "Taint that probe pods tolerate; * means every taint.",
        type=TOLERATION,
    )
    print_images: bool = options.flag(
        "--print-images", "Print the images that nodes need (for clusters without internet access), and exit."
    )

    @property
    def images(self) -> tuple[str, ...]:
        from netprobe.model.text import mirrored

        return (mirrored(self.image, self.registry),)

    def options(self, lifetime_s: int = 3600) -> PodOptions:
        """The options of the pods; each ends by itself after `lifetime_s`."""
        from netprobe.probe import PodOptions

        return PodOptions(
            self.images[0], lifetime_s, self.pull_secret, dict(self.node_selectors), tuple(self.tolerations)
        )

    def answered(self) -> bool:
        if self.print_images:
            print("\n".join(self.images))
        return self.print_images


@dataclass(frozen=True, slots=True)
class FlowFlags(options.Flags):
    HEADING: ClassVar = "Which flows"
    ports: Sequence[PortArgument] = options.port()
    sources: Sequence[str] = options.repeatable(
        "--from POD",
        "Only flows from these pods: NAMESPACE/POD, may contain *.",
        shell_complete=complete.pods,
    )
    destinations: Sequence[str] = options.repeatable(
        "--to POD",
        "Only flows to these pods, or to svc:NAMESPACE/NAME.",
        shell_complete=complete.destinations,
    )


@dataclass(frozen=True, slots=True)
class Selection(FlowFlags):
    """Which flows of a cluster to list, including those of hosts outside."""

    externals: Sequence[External] = options.repeatable(
        "--external ADDRESS",
        "Include an address outside the cluster as a source and a destination.",
        type=EXTERNAL,
    )


@dataclass(frozen=True, slots=True)
class ViewFlags(options.Flags):
    HEADING: ClassVar = "Which flows"
    everything: bool = options.flag("--all", "Show every flow on its own, however many there are.")
    grouped: bool = options.option(
        "--group, --grouped", "Show pods that behave alike as one row.", is_flag=True
    )
    only_differences: bool = options.flag(
        "--only-differences", "Show only flows that are not as expected, in every format."
    )

    @property
    def detail(self) -> Detail:
        if self.everything and self.grouped:
            raise UsageError("--all shows every flow and --group one row for many: use one of them")
        return Detail.ALL if self.everything else Detail.GROUPS if self.grouped else Detail.AUTO
