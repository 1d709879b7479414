"""`netprobe kind`: a cluster of containers on this machine, with Calico."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from netprobe.cli import options
from netprobe.cli.command import Group
from netprobe.cli.invoke import say
from netprobe.cli.progress import shown
from netprobe.kind import CreateOptions, Manifest, Timeouts, context_of
from netprobe.model.text import mirrored

NAME = "netprobe"


@click.group(cls=Group)
def command() -> None:
    """A kind cluster with Calico on this machine.

    Needs docker and kind. Calico replaces kind's own network plugin.

    Examples:
      netprobe kind up
      netprobe run suite.yaml --context kind-netprobe
      netprobe kind down
    """


@dataclass(frozen=True, slots=True)
class UpFlags(options.Flags):
    name: str = options.option("--name", "Name of the cluster; its context is kind-NAME.", default=NAME)
    config: Path | None = options.option(
        "--config",
        "kind configuration (default: a control plane and two workers, without kind's network plugin).",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
    )
    node_image: str | None = options.option(
        "--node-image IMAGE", "Image for the nodes (default: kind's own)."
    )
    manifest: str | None = options.option(
        "--manifest PATH|URL", "Manifest of the network plugin (default: a pinned version of Calico)."
    )
    registry: str | None = options.option(
        "--registry HOST[/PREFIX]", "Registry mirror for the images in the manifest."
    )
    archives: Sequence[Path] = options.repeatable(
        "--load ARCHIVE",
        "Image archive from `docker save` to load into the nodes.",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
    )
    kubeconfig: Path | None = options.option(
        "--kubeconfig PATH",
        "Kubeconfig file to write to (default: the one that kubectl uses).",
        type=click.Path(path_type=Path),
    )
    ready_s: float = options.duration(
        "--timeout", "How long to wait for nodes and pods to become ready.", default="10m"
    )
    print_images: bool = options.flag("--print-images", "Print the images that are needed, and exit.")


@options.as_command(UpFlags, parent=command)
def up(flags: UpFlags) -> int:
    """Create a cluster, install Calico, wait until everything is ready, and run `netprobe doctor` on it.

    Run it again after an interruption, or when the cluster is already up: it does what is missing. Exit
    status: 3 if docker or kind fails, otherwise that of doctor.

    Examples:
      netprobe kind up && netprobe run suite.yaml --context kind-netprobe
      netprobe kind up --print-images                # the images to copy to a machine without internet
      netprobe kind up --manifest calico.yaml --load images.tar
    """
    from netprobe.cli.doctor import command as doctor
    from netprobe.cli.signals import run_async
    from netprobe.kind import CALICO, Programs, read_manifest
    from netprobe.probe import PodOptions

    if flags.print_images:
        images = CALICO.images if flags.manifest is None else read_manifest(flags.manifest).images
        print("\n".join(mirrored(image, flags.registry) for image in (*images, PodOptions().image)))
        return 0
    say("docker {}, kind {}".format(*run_async(Programs().check())))
    # fetched before anything is created: this is what fails most often
    plugin = read_manifest(flags.manifest).from_registry(flags.registry)
    wanted = CreateOptions(flags.config, flags.node_image, tuple(flags.archives))
    run_async(_up(flags.name, flags.kubeconfig, wanted, plugin, Timeouts(ready_s=flags.ready_s)))
    arguments = ["--context", context_of(flags.name)]
    arguments += ["--kubeconfig", str(flags.kubeconfig)] if flags.kubeconfig else []
    arguments += ["--registry", flags.registry] if flags.registry else []
    with doctor.make_context("doctor", arguments, parent=click.get_current_context()) as examination:
        status: int = doctor.invoke(examination)
    return status


@dataclass(frozen=True, slots=True)
class DownFlags(options.Flags):
    name: str = options.option("--name", "Name of the cluster.", default=NAME)
    kubeconfig: Path | None = options.option(
        "--kubeconfig PATH",
        "Kubeconfig file to remove it from (default: the one that kubectl uses).",
        type=click.Path(path_type=Path),
    )


@options.as_command(DownFlags, parent=command)
def down(flags: DownFlags) -> None:
    """Remove the cluster and its entry in the kubeconfig.

    Examples:
      netprobe kind down
      netprobe kind down --name two
    """
    from netprobe.cli.signals import run_async

    removed = run_async(_down(flags.name, flags.kubeconfig))
    say(f"removed the kind cluster {flags.name}" if removed else f"there is no kind cluster {flags.name}")


async def _up(
    name: str, kubeconfig: Path | None, wanted: CreateOptions, plugin: Manifest, timeouts: Timeouts
) -> None:
    from netprobe.kind import KindCluster, Programs

    now = asyncio.get_running_loop().time
    start = now()

    def stage(text: str) -> None:
        say(f"{now() - start:.0f} s: {text}")

    with shown() as narrate:
        cluster = KindCluster(name, Programs(narrate), kubeconfig, timeouts, report=stage)
        await cluster.up(wanted, plugin)
        stage(f"the cluster is up: use it with netprobe run SUITE --context {context_of(name)}")


async def _down(name: str, kubeconfig: Path | None) -> bool:
    from netprobe.kind import KindCluster, Programs

    with shown() as narrate:
        programs = Programs(narrate)
        await programs.check()
        return await KindCluster(name, programs, kubeconfig, report=say).down()
