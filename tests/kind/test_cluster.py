"""Which calls bring up a kind cluster, from nothing and after an earlier try.

docker and kind are fakes here (conftest.py), except in the last tests.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from netprobe.errors import KindError
from netprobe.kind import CreateOptions, KindCluster, Manifest, Programs, Timeouts
from tests.kind.conftest import MANIFEST, NODES, UP, Machine, daemon_set, deployment, node, pod

PLUGIN = Manifest("the plugin", MANIFEST)
QUICK = Timeouts(poll_s=0.01)
SHORT = Timeouts(ready_s=0.05, poll_s=0.01, answer_s=0.05)
APPLY = (
    "docker exec -i netprobe-0 kubectl --kubeconfig /etc/kubernetes/admin.conf "
    "apply --server-side --force-conflicts -f -"
)
EXPORT = "kind export kubeconfig --name netprobe"
DELETE = "kind delete cluster --name netprobe"


def cluster(messages: list[str] | None = None, timeouts: Timeouts = QUICK) -> KindCluster:
    lines = messages if messages is not None else []
    return KindCluster("netprobe", Programs(lines.append), timeouts=timeouts, report=lines.append)


async def test_from_nothing(machine: Machine, tmp_path: Path) -> None:
    slow = [[node("a", ready=False), daemon_set("calico-node", 0, 0, seen=False)], [node("a"), node("b")], UP]
    machine.shown = slow[:1] + slow
    archive, config = tmp_path / "images.tar", tmp_path / "kind.yaml"
    messages: list[str] = []
    await cluster(messages).up(CreateOptions(config, "nodes:1", (archive,)), PLUGIN)
    assert machine.calls == [
        f"kind create cluster --name netprobe --config {config} --image nodes:1",
        f"kind load image-archive {archive} --name netprobe",
        APPLY,
    ]
    assert machine.applied == MANIFEST
    assert "0 of 1 nodes ready; calico-node 0 of 0" in messages
    assert not machine.marker.exists()


@pytest.mark.parametrize("with_old_marker", [False, True])
async def test_a_complete_cluster_is_used_again(machine: Machine, with_old_marker: bool) -> None:
    await cluster().up(CreateOptions(), PLUGIN)
    machine.calls.clear()
    if with_old_marker:
        machine.leave_marker()
    await cluster().up(CreateOptions(), PLUGIN)
    assert machine.calls == [EXPORT, APPLY], "kubeconfig and manifest may be others than the first time"
    assert not machine.marker.exists()


async def test_after_a_try_that_was_interrupted(machine: Machine) -> None:
    machine.create = "hangs"
    started = asyncio.Event()
    programs = Programs(lambda line: started.set() if "Starting control-plane" in line else None)
    task = asyncio.create_task(KindCluster("netprobe", programs).up(CreateOptions(), PLUGIN))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    machine.calls.clear()
    await cluster().up(CreateOptions(), PLUGIN)
    first, second, *_ = machine.calls
    assert (first, second.startswith("kind create cluster --name netprobe")) == (DELETE, True)
    assert machine.applied == MANIFEST


INCOMPLETE = {
    "without a control plane": {"nodes": [["netprobe-1", "running", "worker"]]},
    "without its last parts": {"nodes": NODES, "answers": True, "joined": 3, "addons": False},
    "without a worker": {"nodes": NODES, "answers": True, "joined": 2},
}


@pytest.mark.parametrize("state", INCOMPLETE.values(), ids=INCOMPLETE)
async def test_after_a_try_that_was_killed(machine: Machine, state: dict[str, object]) -> None:
    machine.leave_marker()
    for name, value in state.items():
        setattr(machine, name, value)
    await cluster().up(CreateOptions(), PLUGIN)
    assert machine.calls[0] == DELETE
    assert machine.applied == MANIFEST


async def test_nodes_that_stopped_with_the_machine_are_started(machine: Machine) -> None:
    machine.nodes = [[name, "exited", role] for name, _, role in NODES]
    await cluster().up(CreateOptions(), PLUGIN)
    assert machine.calls == ["docker start netprobe-0 netprobe-1 netprobe-2", EXPORT, APPLY]


async def test_a_broken_cluster_without_a_marker_is_never_removed(machine: Machine) -> None:
    machine.nodes = NODES[:1]
    with pytest.raises(KindError, match=r"does not answer \(The connection .*\): netprobe kind down"):
        await cluster(timeouts=SHORT).up(CreateOptions(), PLUGIN)
    assert machine.calls == []


NOT_READY = {
    "images that cannot be pulled": (
        [node("a", ready=False), pod("quay.io/calico/cni:v1", "ImagePullBackOff")],
        Timeouts(poll_s=0.01, pull_s=0.03),
        r"cannot pull quay\.io/calico/cni:v1 .*--load.*--registry",
    ),
    "nodes and pods at the deadline": (
        [node("a"), node("b", ready=False), deployment("coredns", 0, 2)],
        SHORT,
        r"1 of 2 nodes ready; coredns 0 of 2\. Another .* continues",
    ),
    "a second network plugin": (
        [node("a"), daemon_set("kindnet", 1, 1)],
        QUICK,
        r"another network plugin already \(kindnet\)",
    ),
}


@pytest.mark.parametrize(("objects", "timeouts", "message"), NOT_READY.values(), ids=NOT_READY)
async def test_what_keeps_a_cluster_from_being_ready(
    machine: Machine, objects: list[object], timeouts: Timeouts, message: str
) -> None:
    machine.shown = [objects]
    with pytest.raises(KindError, match=message):
        await cluster(timeouts=timeouts).up(CreateOptions(), PLUGIN)


async def test_one_failed_pull_does_not_count(machine: Machine) -> None:
    machine.shown = [UP, [pod("a", "ErrImagePull"), node("a"), daemon_set("calico-node", 0, 1)], UP]
    await cluster().up(CreateOptions(), PLUGIN)


async def test_kinds_own_error_is_shown_and_the_next_try_starts_again(machine: Machine) -> None:
    machine.create = "fails"
    with pytest.raises(KindError, match=r"cannot create the kind cluster netprobe: .*no space left"):
        await cluster().up(CreateOptions(), PLUGIN)
    machine.create = "works"
    await cluster().up(CreateOptions(), PLUGIN)
    assert sum(call.startswith("kind create") for call in machine.calls) == 2


async def test_down(machine: Machine, tmp_path: Path) -> None:
    machine.nodes = NODES
    own = KindCluster("netprobe", Programs(), kubeconfig=tmp_path / "k")
    assert await own.down()
    assert machine.calls == [f"{DELETE} --kubeconfig {tmp_path / 'k'}"]
    assert not await own.down()


async def test_everything_that_is_missing_is_reported(machine: Machine) -> None:
    assert await Programs().check() == ("27.3.1", "0.29.0")
    machine.daemon = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    machine.missing = {"kind"}
    with pytest.raises(KindError) as caught:
        await Programs().check()
    kind, docker = str(caught.value).splitlines()
    assert kind.startswith("kind is not installed, or not on PATH; one binary: https://kind.sigs.k8s.io/")
    assert docker.startswith("docker's daemon does not answer: Cannot connect to the Docker daemon")
    machine.missing = {"docker", "kind"}
    with pytest.raises(KindError, match=r"(?s)docker is not installed.*kind is not installed"):
        await Programs().check()


async def test_a_program_s_messages_are_progress_and_its_last_words_the_reason() -> None:
    lines: list[str] = []
    programs = Programs(lines.append)
    result = await programs.run("sh", "-c", "cat; echo one >&2; exit 3", deadline_s=60, stdin=b"text")
    assert (result.status, result.text, result.errors, lines) == (3, "text", "one", ["one"])
    with pytest.raises(KindError, match="cannot try: one"):
        await programs.require("sh", "-c", "echo one >&2; false", deadline_s=60, what="try")


async def test_a_program_is_ended_at_its_deadline_and_when_netprobe_is() -> None:
    with pytest.raises(KindError, match=r"`sleep 60` did not end within 0.05 s"):
        await Programs().run("sleep", "60", deadline_s=0.05)
    begun = asyncio.Event()
    programs = Programs(lambda _: begun.set())
    script = "trap 'exit 0' TERM; echo begun >&2; while :; do sleep 0.01; done"
    task = asyncio.create_task(programs.run("sh", "-c", script, deadline_s=60))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
