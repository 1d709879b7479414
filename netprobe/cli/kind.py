"""`netprobe kind`: a cluster of containers on this machine, with Calico."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from netprobe.cli.command import Group
from netprobe.cli.invoke import say
from netprobe.cli.options import duration_option, examples, flag, repeatable
from netprobe.cli.progress import shown
from netprobe.kind import CreateOptions, Manifest, Timeouts, context_of
from netprobe.model.image import mirrored

NAME = "netprobe"


@click.group(cls=Group)
def command() -> None:
    """A kind cluster with Calico on this machine.

    Needs docker and kind. kind's own network plugin is disabled, so that Calico is what is tested.
    """


@command.command()
@click.option("--name", default=NAME, help="Name of the cluster; its context is kind-NAME.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A kind configuration (default: a control plane, two workers, no network plugin).",
)
@click.option("--node-image", metavar="IMAGE", help="The image of the nodes (default: kind's own).")
@click.option(
    "--manifest",
    metavar="PATH|URL",
    help="Manifest of the network plugin (default: a pinned version of Calico).",
)
@click.option("--registry", metavar="HOST[/PREFIX]", help="Registry mirror for the images in the manifest.")
@repeatable(
    "--load",
    "archives",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="ARCHIVE",
    help="Image archive from `docker save` to load into the nodes.",
)
@click.option(
    "--kubeconfig",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Kubeconfig file to write to (default: as kubectl).",
)
@duration_option(
    "--timeout", "ready_s", default="10m", help="How long to wait for nodes and pods to become ready."
)
@flag("--print-images", "Print the images that are needed, and exit.")
@examples("""
netprobe kind up                               # then: netprobe run SUITE --context kind-netprobe
netprobe kind up --print-images                # what to bring to a machine without internet
netprobe kind up --manifest calico.yaml --load images.tar
""")
@click.pass_context
def up(
    ctx: click.Context,
    /,
    name: str,
    config: Path | None,
    node_image: str | None,
    manifest: str | None,
    registry: str | None,
    archives: Sequence[Path],
    kubeconfig: Path | None,
    ready_s: float,
    print_images: bool,
) -> int:
    """Create a cluster, install Calico, wait until everything is ready, and run `netprobe doctor` on it.

    Can be repeated: after a try that was interrupted, and on a cluster that is up already. Exit status 3 if
    docker or kind fails, otherwise that of doctor.
    """
    from netprobe.cli.doctor import command as doctor
    from netprobe.cli.signals import run_async
    from netprobe.kind import CALICO, Programs, read_manifest
    from netprobe.probe import PodOptions

    if print_images:
        images = CALICO.images if manifest is None else read_manifest(manifest).images
        print("\n".join(mirrored(image, registry) for image in (*images, PodOptions().image)))
        return 0
    say("docker {}, kind {}".format(*run_async(Programs().check())))
    # fetched before anything is created: this is what fails most often
    plugin = read_manifest(manifest).from_registry(registry)
    options = CreateOptions(config, node_image, tuple(archives))
    run_async(_up(name, kubeconfig, options, plugin, Timeouts(ready_s=ready_s)))
    asked = ["--context", context_of(name)]
    asked += ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    asked += ["--registry", registry] if registry else []
    with doctor.make_context("doctor", asked, parent=ctx) as examination:
        status: int = doctor.invoke(examination)
    return status


@command.command()
@click.option("--name", default=NAME, help="Cluster name.")
@click.option(
    "--kubeconfig",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Kubeconfig file to remove it from (default: as kubectl).",
)
def down(name: str, kubeconfig: Path | None) -> None:
    """Remove the cluster and its entry in the kubeconfig."""
    from netprobe.cli.signals import run_async

    removed = run_async(_down(name, kubeconfig))
    say(f"removed the kind cluster {name}" if removed else f"there is no kind cluster {name}")


async def _up(
    name: str, kubeconfig: Path | None, options: CreateOptions, plugin: Manifest, timeouts: Timeouts
) -> None:
    from netprobe.kind import KindCluster, Programs

    now = asyncio.get_running_loop().time
    start = now()

    def stage(text: str) -> None:
        say(f"{now() - start:.0f} s: {text}")

    with shown() as narrate:
        cluster = KindCluster(name, Programs(narrate), kubeconfig, timeouts, report=stage)
        await cluster.up(options, plugin)
        stage(f"the cluster is up: use it with netprobe run SUITE --context {context_of(name)}")


async def _down(name: str, kubeconfig: Path | None) -> bool:
    from netprobe.kind import KindCluster, Programs

    with shown() as narrate:
        programs = Programs(narrate)
        await programs.check()
        return await KindCluster(name, programs, kubeconfig, report=say).down()
