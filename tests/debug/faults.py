"""The files of manifests/faults/ on a cluster, each in namespaces of its own, and what `debug` finds out."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from netprobe.debug import Answer, Request, debug
from netprobe.errors import NotFoundError
from netprobe.kube.client import KubeCluster
from netprobe.model.flow import Protocol
from netprobe.model.objects import Object
from netprobe.probe import Deadlines
from netprobe.run.options import RunOptions
from netprobe.run.target import ClusterChoice
from tests.run.netprobe import ROOT

FOLDER = ROOT / "manifests" / "faults"
SHOP = "shop"
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A file: its objects, and the lines behind "# $ " as words."""

    name: str
    objects: tuple[Object, ...]
    commands: tuple[tuple[str, ...], ...]

    @property
    def question(self) -> list[str]:
        """The arguments of its `netprobe debug`."""
        return next(list(words[2:]) for words in self.commands if words[:2] == ("netprobe", "debug"))


def fault(name: str, tag: str) -> Fault:
    """A file with its namespaces renamed: "shop" is "TAG-shop"."""
    text = (FOLDER / f"{name}.yaml").read_text()
    text = re.sub(r"(?<![\w.-])(shop|front)(?![\w.-])", f"{tag}-\\1" if tag else r"\1", text)
    commands = tuple(tuple(shlex.split(line)) for line in re.findall(r"^# \$ (.*)$", text, re.MULTILINE))
    return Fault(name, tuple(obj for obj in yaml.safe_load_all(text) if obj), commands)


def request(target: ClusterChoice, arguments: Iterable[str], **more: Any) -> Request:
    """What `netprobe debug ARGUMENTS` asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("destination")
    parser.add_argument("--port", type=int)
    parser.add_argument("--ephemeral", action="store_true")
    read = parser.parse_args(list(arguments))
    protocol = Protocol.TCP if read.port else None
    options = RunOptions(target, deadlines=Deadlines(ready_s=READY_S))
    return Request(
        read.source, read.destination, read.port, protocol, ephemeral=read.ephemeral, options=options, **more
    )


async def apply(cluster: KubeCluster, objects: Iterable[Object]) -> None:
    """Create or replace objects, namespaces first."""
    listed = list(objects)
    for kind in (True, False):
        await asyncio.gather(*(cluster.apply(obj) for obj in listed if (obj["kind"] == "Namespace") is kind))


async def settled(cluster: KubeCluster, namespaces: Iterable[str], pods: int) -> None:
    """Wait until namespaces have that many pods, and each pod that a node can take runs."""
    async with asyncio.timeout(READY_S):
        while True:
            found = [pod for name in namespaces for pod in await cluster.find("Pod", name)]
            if len(found) >= pods and all(map(_started, found)):
                return
            await asyncio.sleep(0.2)


def _started(pod: Object) -> bool:
    """Whether it is ready, or will never be."""
    conditions = {c["type"]: c for c in pod["status"].get("conditions") or ()}
    if conditions.get("PodScheduled", {}).get("reason") == "Unschedulable":
        return True
    if conditions.get("Ready", {}).get("status") == "True":
        return True
    return bool(pod["status"].get("phase") == "Running" and pod["metadata"]["name"] == "cache")


async def answer(cluster: KubeCluster, target: ClusterChoice, name: str, tag: str, **more: Any) -> Answer:
    """Create the shop and a fault, do what the file says, and ask; the namespaces are removed in any case."""
    shop, here = fault("shop", tag), fault(name, tag)
    objects = [*shop.objects, *here.objects]
    namespaces = [obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"]
    try:
        await apply(cluster, objects)
        await settled(cluster, namespaces, 3 + sum(obj["kind"] == "Pod" for obj in here.objects))
        for words in here.commands:
            await _kubectl(cluster, words)
        return await debug(request(target, here.question, **more), lambda _: None, lambda _: None)
    finally:
        await remove(cluster, namespaces)
        for words in here.commands:
            if words[:2] == ("kubectl", "annotate"):
                key = words[4].partition("=")[0]
                await cluster.patch("Node", words[3], None, {"metadata": {"annotations": {key: None}}})


async def _kubectl(cluster: KubeCluster, words: tuple[str, ...]) -> None:
    """The kubectl commands of the files, by the API."""
    match words:
        case ("kubectl", "annotate", "node", node, text):
            key, _, value = text.partition("=")
            await cluster.patch("Node", node, None, {"metadata": {"annotations": {key: value}}})
            await asyncio.sleep(0.3)  # until the lab has it in force; nothing else shows that
        case ("kubectl", "-n", namespace, "delete", "networkpolicy", name):
            await cluster.delete("NetworkPolicy", name, namespace)
        case ("netprobe", "debug", *_):
            pass
        case _:
            raise AssertionError(words)


async def remove(cluster: KubeCluster, namespaces: Iterable[str]) -> None:
    for name in namespaces:
        try:
            await cluster.delete("Namespace", name)
        except NotFoundError:
            continue


async def leftovers(cluster: KubeCluster) -> list[str]:
    """What runs of netprobe have left."""
    kinds = ("Namespace", "Pod", "Job", "NetworkPolicy", "Lease")
    found = [obj for kind in kinds for obj in await cluster.find(kind, None, {"netprobe.dev/run": None})]
    return [f"{obj['kind']} {obj['metadata']['name']}" for obj in found]
