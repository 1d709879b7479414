"""The files of manifests/faults/ on a cluster, each in namespaces of its own, and what `debug` finds out."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import shlex
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from netprobe.debug import Answer, Request, debug
from netprobe.errors import NotFoundError
from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from netprobe.model.flow import Protocol
from netprobe.model.objects import Object
from netprobe.probe import Deadlines
from netprobe.probe.deciding import key_of
from netprobe.run.cluster import RunOptions
from netprobe.run.target import ClusterChoice
from tests.run.netprobe import ROOT

FOLDER = ROOT / "manifests" / "faults"
AT_ONCE = 4
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


def fault(name: str, tag: str, late_s: int = 3) -> Fault:
    """A file with its namespaces renamed: "shop" is "TAG-shop". A lag lasts `late_s` seconds."""
    text = (FOLDER / f"{name}.yaml").read_text().replace("late=3", f"late={late_s}")
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
    """Create or replace objects, those outside namespaces first and in order."""
    listed = list(objects)
    for obj in listed:
        if "namespace" not in obj["metadata"]:
            if "projectcalico" in obj["apiVersion"]:  # without its API server: crd.projectcalico.org/v1
                obj["apiVersion"] = await cluster.served(key_of(obj))
            await cluster.apply(obj)
    await asyncio.gather(*(cluster.apply(obj) for obj in listed if "namespace" in obj["metadata"]))


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


async def answer(
    cluster: KubeCluster,
    target: ClusterChoice,
    names: str,
    tag: str,
    *,
    stop: Callable[[], None] | None = None,
    late_s: int = 3,
    **more: Any,
) -> Answer:
    """Create the shop and faults ("one two"), do what their files say, and ask the question of the first.

    `stop` stops a node's agent, in place of the annotations of a lab. All of it is removed afterwards.
    """
    here = [fault(name, tag, late_s) for name in names.split()]
    objects = [obj for one in (fault("shop", tag), *here) for obj in one.objects]
    commands = [words for one in here for words in one.commands]
    try:
        await apply(cluster, objects)
        pods = 3 + sum(obj["kind"] == "Pod" for obj in objects)
        await settled(cluster, {obj["metadata"].get("namespace") for obj in objects} - {None}, pods)
        for words in commands:
            if stop is not None and words[1] == "annotate":
                stop()
            else:
                await _kubectl(cluster, words)
        return await debug(request(target, here[0].question, **more), lambda _: None, lambda _: None)
    finally:
        for obj in reversed([obj for obj in objects if "namespace" not in obj["metadata"]]):
            with suppress(NotFoundError):
                await cluster.delete(key_of(obj), obj["metadata"]["name"])
        for words in commands:
            if stop is None and words[:2] == ("kubectl", "annotate"):
                key = words[4].partition("=")[0]
                await cluster.patch("Node", words[3], None, {"metadata": {"annotations": {key: None}}})


async def _kubectl(cluster: KubeCluster, words: tuple[str, ...]) -> None:
    """The kubectl commands of the files, by the API."""
    match words:
        case ("kubectl", "annotate", "node", node, text):
            key, _, value = text.partition("=")
            await cluster.patch("Node", node, None, {"metadata": {"annotations": {key: value}}})
            await in_force(cluster, node)
        case ("kubectl", "-n", namespace, "delete", "networkpolicy", name):
            await cluster.delete("NetworkPolicy", name, namespace)
        case ("netprobe", "debug", *_):
            pass
        case _:
            raise AssertionError(words)


async def in_force(cluster: KubeCluster, changed: str) -> None:
    """Wait until a lab enforces what was changed before: it starts no pod earlier."""
    name, node = f"after-{changed}", "n2" if changed == "n1" else "n1"
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
    metadata = {"name": name, "namespace": "default", "labels": {"after": changed}}
    await cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    async with asyncio.timeout(READY_S):
        while not _started(await cluster.get("Pod", name, "default")):  # noqa: ASYNC110 (an API, no event)
            await asyncio.sleep(0.1)
        await cluster.delete("Pod", name, "default")
        while await cluster.find("Pod", "default", {"after": changed}):  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.1)


async def leftovers(cluster: KubeCluster) -> list[str]:
    """What runs of netprobe have left."""
    kinds = ("Namespace", "Pod", "Job", "NetworkPolicy", "Lease")
    found = [obj for kind in kinds for obj in await cluster.find(kind, None, {"netprobe.dev/run": None})]
    return [f"{obj['kind']} {obj['metadata']['name']}" for obj in found]


@dataclass(frozen=True, slots=True)
class Given:
    """An answer, how long it took in seconds, the tag of its namespaces, and what was said before it."""

    answer: Answer
    took_s: float
    tag: str
    said: tuple[str, ...]


async def ask_all(
    kubeconfig: str, target: ClusterChoice, names: Iterable[str], alone: Iterable[str] = ()
) -> dict[str, Given]:
    """The answers for files, several at once; then for those that change a node, one after the other."""
    found: dict[str, Given] = {}
    places, numbers = asyncio.Semaphore(AT_ONCE), itertools.count()
    async with connect(kubeconfig) as cluster:

        async def ask(name: str, late_s: int = 3) -> None:
            async with places:
                said: list[str] = []
                tag, begun = f"f{next(numbers)}", time.monotonic()
                given = await answer(cluster, target, name, tag, late_s=late_s, say=said.append)
                found[name] = Given(given, time.monotonic() - begun, tag, tuple(said))

        await asyncio.gather(*map(ask, names))
        for name in alone:
            await ask(name)
            for late_s in (6, 4, 12, 5, 9):  # on a busy machine a lag may end before all packets, or after
                causes = found[name].answer.causes
                if not causes or ("lag" in name and not causes[0][1].over):
                    await ask(name, late_s)
        assert await leftovers(cluster) == []
    return found


def check(given: Given, expected: tuple[str, str, str]) -> None:
    """The first cause, and what its sentence and its fix have to contain; T is the tag of the namespaces."""
    answer = given.answer
    assert answer.causes, answer.steps
    first, found = answer.causes[0]
    assert (first, answer.exit_status) == (expected[0], 0 if found.over else 1), found
    check_sentence(given, expected)


def check_sentence(given: Given, expected: tuple[str, str, str]) -> None:
    """A cause is among those that were found, with this sentence and fix."""
    tag = f"{given.tag}-" if given.tag else ""
    cause, sentence, fix = (text.replace("T-", tag) for text in expected)
    found = dict(given.answer.causes)[cause]
    assert sentence in found.text
    assert fix in found.fix.summary
