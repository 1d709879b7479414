"""A kind cluster, brought up from nothing or from wherever an earlier try has ended.

`kind create cluster` may be killed at any moment and then leaves nodes that are of no use. A marker file on
this machine says that such a try was ours: if the cluster is incomplete, it is removed and created again.
Without the marker nothing is removed except by `down`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, NamedTuple

from netprobe.errors import KindError
from netprobe.kind.manifest import Manifest
from netprobe.model.objects import ReadOnlyObject

Report = Callable[[str], None]

INSTALL: Final = {
    "docker": "kind's nodes are containers: https://docs.docker.com/engine/install/",
    "kind": "one binary: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
}
CONFIG: Final = files("netprobe.kind").joinpath("kind-config.yaml")
LABEL: Final = "io.x-k8s.kind"
PLUGINS: Final = frozenset(
    {"kindnet", "calico-node", "cilium", "antrea-agent", "kube-flannel-ds", "kube-router", "weave-net"}
)
"""DaemonSets of network plugins; two of them in one cluster undo each other's work."""
_KUBECTL: Final = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")

CREATE_S, LOAD_S, ASK_S = 900.0, 600.0, 60.0
PULLING: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"})
_LAST_LINES: Final = 12  # of the messages of a program that failed


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """A program that has ended: its exit status, standard output, and the last lines of standard error."""

    status: int
    text: str
    errors: str


@dataclass(frozen=True, slots=True)
class Programs:
    """Runs docker and kind; `progress` gets each line of standard error."""

    progress: Report = lambda _: None

    async def check(self) -> tuple[str, str]:
        """The versions of docker's server and of kind. KindError names everything that is missing."""
        missing = {name: hint for name, hint in INSTALL.items() if shutil.which(name) is None}
        problems = [f"{name} is not installed, or not on PATH; {hint}" for name, hint in missing.items()]
        docker = kind = ""
        if "docker" not in missing:
            result = await self.run("docker", "version", "--format", "{{.Server.Version}}", deadline_s=30)
            docker = result.text.strip()
            if result.status or not docker:
                problems.append(f"docker's daemon does not answer: {result.errors or 'no message'}")
        if "kind" not in missing:
            result = await self.run("kind", "version", "-q", deadline_s=30)
            kind = result.text.strip()
            if result.status:
                problems.append(f"kind does not work: {result.errors or 'no message'}")
        if problems:
            raise KindError("\n".join(problems))
        return docker, kind

    async def require(self, *command: str, deadline_s: float, what: str) -> ProgramResult:
        """Run a program that has to succeed; KindError with its last messages if it does not."""
        result = await self.run(*command, deadline_s=deadline_s)
        if result.status:
            reason = result.errors or result.text.strip() or f"status {result.status}"
            raise KindError(f"cannot {what}: {reason}")
        return result

    async def run(
        self, *command: str, deadline_s: float, stdin: bytes = b"", quiet: bool = False
    ) -> ProgramResult:
        """Run a program; with `quiet` its messages are not progress. KindError at the deadline.

        When this is cancelled, and at the deadline, the program is terminated and waited for.
        """
        with tempfile.TemporaryFile() as source:  # a pipe would have to be fed while the output is read
            source.write(stdin)
            source.seek(0)
            process = await asyncio.create_subprocess_exec(
                *command, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
        try:
            async with asyncio.timeout(deadline_s):
                output, errors = await asyncio.gather(
                    _read(process.stdout), self._messages(process.stderr, quiet)
                )
                status = await process.wait()
        except TimeoutError as e:
            raise KindError(f"`{' '.join(command[:4])}` did not end within {deadline_s:g} s") from e
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.shield(process.wait())
        return ProgramResult(status, output.decode(errors="replace"), "\n".join(errors[-_LAST_LINES:]))

    async def _messages(self, stream: asyncio.StreamReader | None, quiet: bool) -> list[str]:
        lines = []
        while stream is not None and (raw := await stream.readline()):
            if line := raw.decode(errors="replace").strip():
                lines.append(line)
                if not quiet:
                    self.progress(line)
        return lines


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream is not None else b""


@dataclass(frozen=True, slots=True)
class ClusterReadiness:
    """`missing`: a few words for each thing that is not ready. `unpulled`: images that cannot be pulled."""

    missing: tuple[str, ...]
    unpulled: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join(self.missing) or "everything is ready"


def read(text: str) -> list[ReadOnlyObject]:
    """The objects of `kubectl get -o json`."""
    try:
        return list(json.loads(text)["items"])
    except (ValueError, KeyError, TypeError) as e:
        raise KindError("the kubectl of the kind node did not print a list of objects") from e


def readiness(objects: Iterable[ReadOnlyObject]) -> ClusterReadiness:
    """What is not ready of the nodes, and of the DaemonSets, Deployments and pods of kube-system.

    An object that its controller has not looked at yet counts as not ready: its status says 0 of 0.
    """
    nodes: list[bool] = []
    missing: list[str] = []
    unpulled: list[str] = []
    for obj in objects:
        status = obj.get("status") or {}
        match obj["kind"]:
            case "Node":
                nodes.append(_is_ready(status))
            case "DaemonSet":
                wanted = int(status.get("desiredNumberScheduled", 0))
                missing += _short(obj, int(status.get("numberReady", 0)), wanted)
            case "Deployment":
                wanted = int((obj.get("spec") or {}).get("replicas", 1))
                missing += _short(obj, int(status.get("readyReplicas", 0)), wanted)
            case "Pod":
                unpulled += _unpulled(status)
    if not all(nodes) or not nodes:
        missing.insert(0, f"{sum(nodes)} of {len(nodes)} nodes ready")
    return ClusterReadiness(tuple(missing), tuple(dict.fromkeys(unpulled)))


def daemon_sets(objects: Iterable[ReadOnlyObject]) -> list[str]:
    """The names of the DaemonSets, network plugins among them."""
    return [str(obj["metadata"]["name"]) for obj in objects if obj["kind"] == "DaemonSet"]


def _short(obj: ReadOnlyObject, have: int, wanted: int) -> list[str]:
    seen = (obj.get("status") or {}).get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)
    return [] if seen and have >= wanted else [f"{obj['metadata']['name']} {have} of {wanted}"]


def _is_ready(status: ReadOnlyObject) -> bool:
    conditions = status.get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _unpulled(status: ReadOnlyObject) -> list[str]:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [
        str(one.get("image"))
        for one in containers
        if ((one.get("state") or {}).get("waiting") or {}).get("reason") in PULLING
    ]


def context_of(name: str) -> str:
    """The context of a cluster in a kubeconfig, as kind names it."""
    return f"kind-{name}"


class KindNode(NamedTuple):
    """A container of the cluster; `role` as kind labels it."""

    name: str
    state: str
    role: str


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """`config` None is netprobe's own kind-config.yaml, `node_image` None kind's own."""

    config: Path | None = None
    node_image: str | None = None
    archives: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: until everything is ready, between two looks, until the API server of an existing cluster
    answers, and how long pulling an image may fail (kubelets try again by themselves).
    """

    ready_s: float = 600.0
    poll_s: float = 2.0
    answer_s: float = 90.0
    pull_s: float = 45.0


@dataclass(frozen=True, slots=True)
class KindCluster:
    """One kind cluster by name. `kubeconfig` None: kind's default file. `report` gets each stage."""

    name: str
    programs: Programs
    kubeconfig: Path | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    report: Report = lambda _: None

    async def up(self, options: CreateOptions, plugin: Manifest) -> None:
        """Bring the cluster up with a network plugin. After a KindError another call continues from there."""
        nodes = await self.nodes()
        if nodes and self._marker.exists() and not await self._is_complete(nodes):
            self.report("an earlier try has left an incomplete cluster: removing it")
            await self._kind("delete", "cluster", deadline_s=LOAD_S, what=f"remove the cluster {self.name}")
            nodes = ()
        if nodes:
            await self._resume(nodes)
        else:
            await self._create(options)
        self._marker.unlink(missing_ok=True)
        control_plane = _control_plane(await self.nodes())
        await self._refuse_second_plugin(control_plane, plugin)
        for archive in options.archives:
            self.report(f"loading {archive} into the nodes")
            command = ("kind", "load", "image-archive", str(archive), "--name", self.name)
            await self.programs.require(*command, deadline_s=LOAD_S, what=f"load {archive}")
        self.report(f"installing {plugin.source}")
        apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        result = await self._kubectl(control_plane, *apply, stdin=plugin.text.encode())
        if result.status:
            raise KindError(f"cannot apply {plugin.source}: {result.errors or f'status {result.status}'}")
        self.report("waiting for nodes and pods")
        await self._wait_until_ready(control_plane)

    async def down(self) -> bool:
        """Remove the cluster; False if there was none."""
        exists = bool(await self.nodes())
        if exists:
            await self._kind("delete", "cluster", deadline_s=LOAD_S, what=f"remove the cluster {self.name}")
        self._marker.unlink(missing_ok=True)
        return exists

    async def nodes(self) -> tuple[KindNode, ...]:
        """Its containers, running or not."""
        result = await self.programs.require(
            *("docker", "ps", "-a", "--filter", f"label={LABEL}.cluster={self.name}"),
            *("--format", '{{.Names}}\t{{.State}}\t{{.Label "' + LABEL + '.role"}}'),
            deadline_s=ASK_S,
            what="list the containers of kind clusters",
        )
        lines = (line.split("\t") for line in result.text.splitlines())
        return tuple(KindNode(*columns) for columns in lines if len(columns) == 3)

    @property
    def _marker(self) -> Path:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return state / "netprobe" / "kind" / f"{self.name}.unfinished"

    async def _create(self, options: CreateOptions) -> None:
        self.report(f"creating the kind cluster {self.name}, which takes a minute or two")
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        self._marker.touch()
        with as_file(CONFIG) as own:
            arguments = ["--config", str(options.config or own)]
            if options.node_image:
                arguments += ["--image", options.node_image]
            what = f"create the kind cluster {self.name}"
            await self._kind("create", "cluster", *arguments, deadline_s=CREATE_S, what=what)

    async def _resume(self, nodes: Sequence[KindNode]) -> None:
        """Use a cluster that exists. Nodes that stopped, as with the machine, are started."""
        self.report(f"the kind cluster {self.name} exists already")
        if stopped := [node.name for node in nodes if node.state != "running"]:
            self.report(f"starting {', '.join(stopped)}")
            await self.programs.require("docker", "start", *stopped, deadline_s=ASK_S, what="start the nodes")
        control_plane = _control_plane(nodes)
        now = asyncio.get_running_loop().time
        end = now() + self.timeouts.answer_s
        while (result := await self._kubectl(control_plane, "get", "--raw", "/readyz")).status:
            if now() > end:
                raise KindError(
                    f"the API server of the kind cluster {self.name} does not answer ({result.errors}): "
                    f"netprobe kind down --name {self.name} removes the cluster"
                )
            await asyncio.sleep(self.timeouts.poll_s)
        # the kubeconfig may not be the one that was used when the cluster was created
        await self._kind("export", "kubeconfig", deadline_s=ASK_S, what="write the kubeconfig")

    async def _is_complete(self, nodes: Sequence[KindNode]) -> bool:
        """Whether kubeadm finished on every node; then it is a usable cluster, whoever created it."""
        if all(node.role != "control-plane" for node in nodes):
            return False
        control_plane = _control_plane(nodes)
        last = "daemonset/kube-proxy", "deployment/coredns"  # what kubeadm creates last on a control plane
        created = await self._kubectl(control_plane, "-n", "kube-system", "get", *last, "-o", "name")
        joined = await self._kubectl(control_plane, "get", "nodes", "-o", "name")
        wanted = sum(node.role in {"control-plane", "worker"} for node in nodes)
        return created.status == joined.status == 0 and len(joined.text.split()) >= wanted

    async def _refuse_second_plugin(self, control_plane: str, plugin: Manifest) -> None:
        installed = PLUGINS & set(daemon_sets(await self._objects(control_plane)))
        if other := installed - plugin.names:
            raise KindError(
                f"the kind cluster {self.name} has another network plugin already "
                f"({', '.join(sorted(other))}), and two in one cluster undo each other's work: use --name to "
                "create another cluster"
            )

    async def _wait_until_ready(self, control_plane: str) -> None:
        now = asyncio.get_running_loop().time
        start, failing_since = now(), None
        while (state := readiness(await self._objects(control_plane))).missing:
            self.programs.progress(str(state))
            failing_since = (failing_since or now()) if state.unpulled else None
            if failing_since and now() - failing_since > self.timeouts.pull_s:
                raise KindError(_cannot_pull(state))
            if now() - start > self.timeouts.ready_s:
                raise KindError(
                    f"not ready after {self.timeouts.ready_s:g} s: {state}. Another `netprobe kind up` "
                    "continues from here; see "
                    f"kubectl --context {context_of(self.name)} -n kube-system get pods"
                )
            await asyncio.sleep(self.timeouts.poll_s)

    async def _objects(self, control_plane: str) -> list[ReadOnlyObject]:
        kinds = "nodes,daemonsets,deployments,pods"
        result = await self._kubectl(control_plane, "get", kinds, "-n", "kube-system", "-o", "json")
        if result.status:
            raise KindError(f"cannot read the cluster's state: {result.errors or f'status {result.status}'}")
        return read(result.text)

    async def _kubectl(self, control_plane: str, *arguments: str, stdin: bytes = b"") -> ProgramResult:
        """Run the kubectl of a node: it has the right version, and none has to be installed here."""
        interactive = ("-i",) if stdin else ()
        command = ("docker", "exec", *interactive, control_plane, *_KUBECTL, *arguments)
        return await self.programs.run(*command, deadline_s=2 * ASK_S, stdin=stdin, quiet=True)

    async def _kind(self, verb: str, noun: str, *arguments: str, deadline_s: float, what: str) -> None:
        kubeconfig = ("--kubeconfig", str(self.kubeconfig)) if self.kubeconfig else ()
        command = ("kind", verb, noun, "--name", self.name, *arguments, *kubeconfig)
        await self.programs.require(*command, deadline_s=deadline_s, what=what)


def _cannot_pull(state: ClusterReadiness) -> str:
    return (
        f"the nodes cannot pull {', '.join(state.unpulled)} ({state}). Without access to a registry: "
        "`docker save` these images elsewhere and pass the archives with --load; or pass a mirror with "
        "--registry. --print-images lists all images that are needed; see docs/kind.md"
    )


def _control_plane(nodes: Sequence[KindNode]) -> str:
    for node in nodes:
        if node.role == "control-plane":
            return node.name
    raise KindError("the cluster has no control plane: netprobe kind down removes its nodes")
