"""`netprobe kind`: a cluster of containers on this machine, with Calico."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from netprobe.cli.frame import say
from netprobe.cli.narration import narrated
from netprobe.cli.options import DurationType, examples
from netprobe.kind.cluster import Recipe, context_of
from netprobe.model.image import mirrored

NAME = "netprobe"


@click.group()
def command() -> None:
    """A kind cluster with Calico on this machine: real nodes in containers, a real network plugin.

    Needs docker and kind. kind's own network plugin is left out, so that Calico is what is tested.
    """


@command.command()
@click.option("--name", default=NAME, show_default=True, help="Which cluster; its context is kind-NAME.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another kind configuration than netprobe's: a control plane, two workers, no network plugin.",
)
@click.option("--node-image", metavar="IMAGE", help="The image of the nodes (default: kind's own).")
@click.option(
    "--manifest",
    metavar="PATH|URL",
    help="The network plugin's manifest (default: Calico's published one, of a pinned version).",
)
@click.option("--registry", metavar="HOST[/PREFIX]", help="A mirror to take the manifest's images from.")
@click.option(
    "--load",
    "archives",
    multiple=True,
    metavar="ARCHIVE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An archive of `docker save` for the nodes, where they reach no registry. Repeatable.",
)
@click.option(
    "--kubeconfig",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Where kind writes the cluster's access (default: as kubectl).",
)
@click.option(
    "--timeout",
    "ready_s",
    type=DurationType(),
    default="10m",
    show_default=True,
    help="How long nodes and pods may take to become ready.",
)
@click.option("--print-images", is_flag=True, help="List the images that are needed, and do nothing else.")
@examples("""
netprobe kind up                               # then: netprobe run SUITE --context kind-netprobe
netprobe kind up --print-images                # what to bring where no registry is reached
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
    """Make a cluster, install Calico, wait until pods run, and examine it by `netprobe doctor`.

    Works again after a try that ended half-way, and on a cluster that is up already. Exit status 3 where
    docker or kind fail, else that of doctor.
    """
    from netprobe.cli.doctor import command as doctor
    from netprobe.cli.loop import run_async
    from netprobe.probe import PodOptions

    if print_images:
        images = run_async(_images(manifest))
        print("\n".join(mirrored(image, registry) for image in (*images, PodOptions().image)))
        return 0
    wanted = Recipe(config, node_image, tuple(archives))
    run_async(_up(name, kubeconfig, wanted, manifest, registry, ready_s))
    asked = ["--context", context_of(name)]
    asked += ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    asked += ["--registry", registry] if registry else []
    with doctor.make_context("doctor", asked, parent=ctx) as examination:
        status: int = doctor.invoke(examination)
    return status


@command.command()
@click.option("--name", default=NAME, show_default=True, help="Which cluster.")
@click.option(
    "--kubeconfig",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Where its access was written (default: as kubectl).",
)
def down(name: str, kubeconfig: Path | None) -> None:
    """Remove the cluster and its entry in the kubeconfig."""
    from netprobe.cli.loop import run_async

    there = run_async(_down(name, kubeconfig))
    say(f"the kind cluster {name} is gone" if there else f"there was no kind cluster {name}")


async def _images(manifest: str | None) -> Sequence[str]:
    """Those of the manifest; of the pinned one they are known without fetching it."""
    from netprobe.kind import CALICO, obtained

    return CALICO.images if manifest is None else (await obtained(manifest)).images


async def _up(
    name: str,
    kubeconfig: Path | None,
    recipe: Recipe,
    manifest: str | None,
    registry: str | None,
    ready_s: float,
) -> None:
    from netprobe.kind import KindCluster, Patience, Programs, obtained

    now = asyncio.get_running_loop().time
    begun = now()

    def stage(text: str) -> None:
        say(f"{now() - begun:.0f} s: {text}")

    with narrated() as narrate:
        programs = Programs(narrate)
        versions = await programs.check()
        say("docker {}, kind {}".format(*versions))
        # Before anything is made: it is what most often cannot be had.
        narrate("fetching the network plugin's manifest")
        plugin = (await obtained(manifest)).from_registry(registry)
        cluster = KindCluster(name, programs, kubeconfig, Patience(ready_s=ready_s), say=stage)
        await cluster.up(recipe, plugin)
        stage(f"the cluster is up; netprobe run SUITE --context {context_of(name)} probes on it")


async def _down(name: str, kubeconfig: Path | None) -> bool:
    from netprobe.kind import KindCluster, Programs

    with narrated() as narrate:
        programs = Programs(narrate)
        await programs.check()
        return await KindCluster(name, programs, kubeconfig, say=say).down()
