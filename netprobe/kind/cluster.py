"""A kind cluster from nothing, or from wherever an earlier try has ended, to one in which pods run.

`kind create cluster` may be killed at any moment, and what it leaves has the cluster's name and no use. A
mark on this machine says that such a try was ours: nodes of that name that never became a whole cluster are
then removed and made anew. Without the mark nothing is ever removed but by `down`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from netprobe.errors import KindError
from netprobe.kind import standing as standings
from netprobe.kind.manifest import Manifest
from netprobe.kind.programs import Ended, Programs, Progress
from netprobe.kind.standing import Standing
from netprobe.model.objects import ReadOnlyObject

CONFIG: Final = files("netprobe.kind").joinpath("kind-config.yaml")
LABEL: Final = "io.x-k8s.kind"
PLUGINS: Final = frozenset(
    {"kindnet", "calico-node", "cilium", "antrea-agent", "kube-flannel-ds", "kube-router", "weave-net"}
)
"""DaemonSets of network plugins; two of them in one cluster undo each other's work."""

CREATE_S, LOAD_S, ASK_S = 900.0, 600.0, 60.0


def context_of(name: str) -> str:
    """How kind calls the context of a cluster in a kubeconfig."""
    return f"kind-{name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A container of the cluster; `role` as kind labels it."""

    name: str
    state: str
    role: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make: `config` None is netprobe's own kind-config.yaml, `node_image` None kind's own."""

    config: Path | None = None
    node_image: str | None = None
    archives: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: until all has to be ready, between two looks, until an API server that was there answers, and
    how long an image may fail to be pulled (kubelets try again by themselves)."""

    ready_s: float = 600.0
    poll_s: float = 2.0
    answer_s: float = 90.0
    pull_s: float = 45.0


def _marks() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "netprobe" / "kind"


@dataclass(frozen=True, slots=True)
class KindCluster:
    """One kind cluster by name. `kubeconfig` None: where kind writes by itself.

    `say` is told each stage; what a stage is waiting for goes where the programs' progress goes.
    """

    name: str
    programs: Programs
    kubeconfig: Path | None = None
    patience: Patience = field(default_factory=Patience)
    marks: Path = field(default_factory=_marks)
    say: Progress = lambda _: None

    async def up(self, recipe: Recipe, plugin: Manifest) -> None:
        """Bring it up with a network plugin. KindError; another call goes on from there."""
        nodes = await self.nodes()
        if nodes and self._mark.exists() and not await self._whole(nodes):
            self.say("an earlier try has left half a cluster: removing it")
            await self._remove()
            nodes = ()
        if nodes:
            await self._found(nodes)
        else:
            await self._create(recipe)
        self._mark.unlink(missing_ok=True)
        control = _control(await self.nodes())
        await self._refuse_two_plugins(control, plugin)
        for archive in recipe.archives:
            self.say(f"loading {archive} into the nodes")
            await self.programs.must(
                *("kind", "load", "image-archive", str(archive), "--name", self.name),
                deadline_s=LOAD_S,
                what=f"load {archive}",
            )
        self.say(f"installing {plugin.source}")
        await self._kubectl(
            control,
            *("apply", "--server-side", "--force-conflicts", "-f", "-"),
            what=f"apply {plugin.source}",
            stdin=plugin.text.encode(),
        )
        self.say("waiting for nodes and pods")
        await self._ready(control)

    async def down(self) -> bool:
        """Remove it; False where there was none."""
        there = bool(await self.nodes())
        if there:
            await self._remove()
        self._mark.unlink(missing_ok=True)
        return there

    async def nodes(self) -> tuple[Node, ...]:
        """Its containers, running or not."""
        ended = await self.programs.must(
            *("docker", "ps", "-a", "--filter", f"label={LABEL}.cluster={self.name}"),
            *("--format", '{{.Names}}\t{{.State}}\t{{.Label "' + LABEL + '.role"}}'),
            deadline_s=ASK_S,
            what="list the containers of kind clusters",
        )
        fields = (line.split("\t") for line in ended.text.splitlines() if line.count("\t") == 2)
        return tuple(Node(*three) for three in fields)

    @property
    def _mark(self) -> Path:
        return self.marks / f"{self.name}.unfinished"

    async def _create(self, recipe: Recipe) -> None:
        self.say(f"creating the kind cluster {self.name}, which takes a minute or two")
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.touch()
        with as_file(CONFIG) as own:
            command = ["kind", "create", "cluster", "--name", self.name]
            command += ["--config", str(recipe.config or own)]
            if recipe.node_image:
                command += ["--image", recipe.node_image]
            await self.programs.must(
                *command, *self._where, deadline_s=CREATE_S, what=f"create the kind cluster {self.name}"
            )

    async def _found(self, nodes: Sequence[Node]) -> None:
        """Go on with a cluster that is there; its nodes are started where the machine was."""
        self.say(f"the kind cluster {self.name} is there already")
        sleeping = [node.name for node in nodes if node.state != "running"]
        if sleeping:
            self.say(f"starting {', '.join(sleeping)}")
            await self.programs.must("docker", "start", *sleeping, deadline_s=ASK_S, what="start the nodes")
        control = _control(nodes)
        now = asyncio.get_running_loop().time
        end = now() + self.patience.answer_s
        while (ended := await self._asked(control, "get", "--raw", "/readyz")).status:
            if now() > end:
                raise KindError(
                    f"the API server of the kind cluster {self.name} does not answer ({ended.said}): "
                    f"netprobe kind down --name {self.name} removes the cluster"
                )
            await asyncio.sleep(self.patience.poll_s)
        await self.programs.must(  # the kubeconfig may be another than that of the first time
            *("kind", "export", "kubeconfig", "--name", self.name, *self._where),
            deadline_s=ASK_S,
            what="write the kubeconfig",
        )

    async def _whole(self, nodes: Sequence[Node]) -> bool:
        """Whether kubeadm came to its end everywhere: then it is a cluster, whoever has made it."""
        if all(node.role != "control-plane" for node in nodes):
            return False
        last = "daemonset/kube-proxy", "deployment/coredns"  # what kubeadm makes last on a control plane
        made = await self._asked(_control(nodes), "-n", "kube-system", "get", *last, "-o", "name")
        if made.status:
            return False
        joined = await self._asked(_control(nodes), "get", "nodes", "-o", "name")
        wanted = sum(node.role in {"control-plane", "worker"} for node in nodes)
        return joined.status == 0 and len(joined.text.split()) >= wanted

    async def _refuse_two_plugins(self, control: str, plugin: Manifest) -> None:
        objects = await self._objects(control)
        other = (PLUGINS & set(standings.daemon_sets(objects))) - plugin.names
        if other:
            raise KindError(
                f"the kind cluster {self.name} has another network plugin already "
                f"({', '.join(sorted(other))}), and two in one cluster undo each other's work: --name makes "
                "another cluster"
            )

    async def _ready(self, control: str) -> None:
        now = asyncio.get_running_loop().time
        begun, failing_since = now(), None
        while not (seen := standings.standing(await self._objects(control))).ready:
            self.programs.progress(str(seen))
            failing_since = (failing_since or now()) if seen.unpulled else None
            if failing_since and now() - failing_since > self.patience.pull_s:
                raise KindError(self._unpulled(seen))
            if now() - begun > self.patience.ready_s:
                raise KindError(
                    f"not ready after {self.patience.ready_s:g} s: {seen}. Another `netprobe kind up` goes "
                    f"on from here; kubectl --context {context_of(self.name)} -n kube-system get pods tells "
                    "more"
                )
            await asyncio.sleep(self.patience.poll_s)

    def _unpulled(self, seen: Standing) -> str:
        return (
            f"the nodes cannot pull {', '.join(seen.unpulled)} ({seen}). Where they reach no registry: "
            "`docker save` these images elsewhere, and name the archives by --load; or name a mirror by "
            "--registry. --print-images lists all that are needed; docs/kind.md shows how"
        )

    async def _objects(self, control: str) -> list[ReadOnlyObject]:
        ended = await self._kubectl(
            control,
            *("get", "nodes,daemonsets,deployments,pods", "-n", "kube-system", "-o", "json"),
            what="ask the cluster how far it is",
        )
        return standings.read(ended.text)

    async def _kubectl(self, control: str, *arguments: str, what: str, stdin: bytes | None = None) -> Ended:
        ended = await self._asked(control, *arguments, stdin=stdin)
        if ended.status:
            raise KindError(f"cannot {what}: {ended.said or f'status {ended.status}'}")
        return ended

    async def _asked(self, control: str, *arguments: str, stdin: bytes | None = None) -> Ended:
        """What the node's own kubectl says: of the right version, and nothing to be installed here."""
        return await self.programs.run(
            *("docker", "exec", *(("-i",) if stdin is not None else ()), control),
            *("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *arguments),
            deadline_s=ASK_S if stdin is None else 2 * ASK_S,
            stdin=stdin,
            quiet=True,
        )

    async def _remove(self) -> None:
        await self.programs.must(
            *("kind", "delete", "cluster", "--name", self.name, *self._where),
            deadline_s=LOAD_S,
            what=f"remove the kind cluster {self.name}",
        )

    @property
    def _where(self) -> tuple[str, ...]:
        return ("--kubeconfig", str(self.kubeconfig)) if self.kubeconfig else ()


def _control(nodes: Sequence[Node]) -> str:
    for node in nodes:
        if node.role == "control-plane":
            return node.name
    raise KindError("the cluster has no control plane: netprobe kind down removes what is there of it")
