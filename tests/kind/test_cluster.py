"""Which calls bring a kind cluster up, from nothing and from where an earlier try has ended.

docker and kind are fakes here: what they do is shown on a machine that has them (docs/kind.md says how).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from netprobe.errors import KindError
from netprobe.kind import KindCluster, Manifest, Patience, Programs, Recipe
from tests.kind.conftest import MANIFEST, UP, Machine, daemon_set, deployment, node, pod

PLUGIN = Manifest("the plugin", MANIFEST)
PATIENT = Patience(poll_s=0.01)
HASTY = Patience(ready_s=0.05, poll_s=0.01, answer_s=0.05)
APPLY = (
    "docker exec -i netprobe-0 kubectl --kubeconfig /etc/kubernetes/admin.conf "
    "apply --server-side --force-conflicts -f -"
)

NODES = [
    ["netprobe-0", "running", "control-plane"],
    *([f"netprobe-{n}", "running", "worker"] for n in (1, 2)),
]
EXPORT = "kind export kubeconfig --name netprobe"


def cluster(said: list[str] | None = None, patience: Patience = PATIENT) -> KindCluster:
    told = said if said is not None else []
    return KindCluster("netprobe", Programs(told.append), patience=patience, say=told.append)


def created(machine: Machine) -> list[str]:
    return [call for call in machine.calls if call.startswith("kind create")]


async def test_from_nothing(machine: Machine, tmp_path: Path) -> None:
    slow = [[node("a", ready=False), daemon_set("calico-node", 0, 0, seen=False)], [node("a"), node("b")], UP]
    machine.stands(shown=slow[:1] + slow)
    archive, config = tmp_path / "images.tar", tmp_path / "kind.yaml"
    said: list[str] = []
    await cluster(said).up(Recipe(config, "nodes:1", (archive,)), PLUGIN)
    assert machine.calls == [
        f"kind create cluster --name netprobe --config {config} --image nodes:1",
        f"kind load image-archive {archive} --name netprobe",
        APPLY,
    ]
    assert machine.state["applied"] == MANIFEST
    assert "0 of 1 nodes ready; calico-node 0 of 0" in said
    assert not list((tmp_path / "state").rglob("*.unfinished"))


async def test_again_on_a_cluster_that_is_up(machine: Machine) -> None:
    await cluster().up(Recipe(), PLUGIN)
    machine.forget()
    await cluster().up(Recipe(), PLUGIN)
    assert machine.calls == [EXPORT, APPLY], "another kubeconfig may be meant, and the manifest be newer"


async def test_again_after_a_try_that_was_interrupted_half_way(machine: Machine) -> None:
    machine.stands(create="hangs")
    begun = asyncio.Event()
    programs = Programs(lambda line: begun.set() if "Starting control-plane" in line else None)
    task = asyncio.create_task(KindCluster("netprobe", programs).up(Recipe(), PLUGIN))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    machine.forget()
    await cluster().up(Recipe(), PLUGIN)
    first, second, *_ = machine.calls
    assert first == "kind delete cluster --name netprobe"
    assert second.startswith("kind create cluster --name netprobe")
    assert machine.state["applied"] == MANIFEST


HALVES = {
    "without a control plane": {"nodes": [["netprobe-1", "running", "worker"]]},
    "without its last parts": {"nodes": NODES, "answers": True, "joined": 3, "addons": False},
    "without a worker": {"nodes": NODES, "answers": True, "joined": 2},
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_again_after_a_try_that_was_killed(
    machine: Machine, tmp_path: Path, half: dict[str, object]
) -> None:
    mark = tmp_path / "state" / "netprobe" / "kind" / "netprobe.unfinished"
    mark.parent.mkdir(parents=True)
    mark.touch()
    machine.stands(**half)
    await cluster().up(Recipe(), PLUGIN)
    assert machine.calls[0] == "kind delete cluster --name netprobe"
    assert machine.state["applied"] == MANIFEST


async def test_after_the_machine_was_restarted_its_nodes_are_started(machine: Machine) -> None:
    await cluster().up(Recipe(), PLUGIN)
    machine.stands(nodes=[[n, "exited", r] for n, _, r in machine.state["nodes"]], answers=False)
    machine.forget()
    await cluster().up(Recipe(), PLUGIN)
    assert machine.calls == ["docker start netprobe-0 netprobe-1 netprobe-2", EXPORT, APPLY]


async def test_a_broken_cluster_that_we_did_not_leave_is_never_removed(machine: Machine) -> None:
    machine.stands(nodes=[["netprobe-0", "running", "control-plane"]], answers=False)
    with pytest.raises(KindError, match=r"does not answer \(The connection .*\): netprobe kind down"):
        await cluster(patience=HASTY).up(Recipe(), PLUGIN)
    assert machine.calls == []


async def test_a_whole_cluster_is_kept_whatever_an_old_mark_says(machine: Machine, tmp_path: Path) -> None:
    await cluster().up(Recipe(), PLUGIN)
    mark = tmp_path / "state" / "netprobe" / "kind" / "netprobe.unfinished"
    mark.touch()
    machine.forget()
    await cluster().up(Recipe(), PLUGIN)
    assert machine.calls == [EXPORT, APPLY]
    assert not mark.exists()


async def test_a_second_network_plugin_is_refused(machine: Machine) -> None:
    machine.stands(shown=[[node("a"), daemon_set("kindnet", 1, 1)]])
    with pytest.raises(KindError, match=r"another network plugin already \(kindnet\)"):
        await cluster().up(Recipe(), PLUGIN)
    assert APPLY not in machine.calls


async def test_images_that_cannot_be_pulled_are_named_with_what_to_do(machine: Machine) -> None:
    down = [node("a", ready=False), pod("quay.io/calico/cni:v1", "ImagePullBackOff")]
    machine.stands(shown=[down])
    with pytest.raises(KindError, match=r"cannot pull quay\.io/calico/cni:v1 .*--load.*--registry"):
        await cluster(patience=Patience(poll_s=0.01, pull_s=0.05)).up(Recipe(), PLUGIN)


async def test_one_failed_pull_is_not_the_end(machine: Machine) -> None:
    machine.stands(shown=[UP, [pod("a", "ErrImagePull"), node("a"), daemon_set("calico-node", 0, 1)], UP])
    await cluster().up(Recipe(), PLUGIN)


async def test_at_the_deadline_it_says_what_is_not_ready(machine: Machine) -> None:
    machine.stands(shown=[[node("a"), node("b", ready=False), deployment("coredns", 0, 2)]])
    with pytest.raises(KindError, match=r"1 of 2 nodes ready; coredns 0 of 2\. Another .* goes on"):
        await cluster(patience=HASTY).up(Recipe(), PLUGIN)


async def test_what_kind_says_is_handed_on_and_the_next_try_begins_anew(machine: Machine) -> None:
    machine.stands(create="fails")
    with pytest.raises(KindError, match=r"cannot create the kind cluster netprobe: .*no space left"):
        await cluster().up(Recipe(), PLUGIN)
    machine.stands(create="works")
    await cluster().up(Recipe(), PLUGIN)
    assert len(created(machine)) == 2


async def test_down(machine: Machine, tmp_path: Path) -> None:
    await cluster().up(Recipe(), PLUGIN)
    machine.forget()
    where = KindCluster("netprobe", Programs(), kubeconfig=tmp_path / "k")
    assert await where.down()
    assert machine.calls == [f"kind delete cluster --name netprobe --kubeconfig {tmp_path / 'k'}"]
    assert not await where.down()


async def test_all_that_is_missing_is_said_at_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert await Programs().check() == ("27.3.1", "0.29.0")
    machine.stands(daemon="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    (machine.folder / "bin" / "kind").unlink()
    with pytest.raises(KindError) as told:
        await Programs().check()
    kind, docker = str(told.value).splitlines()
    assert kind.startswith("kind is not installed, or not on PATH; one binary: https://kind.sigs.k8s.io/")
    assert docker.startswith("docker's daemon does not answer: Cannot connect to the Docker daemon")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(KindError, match=r"(?s)docker is not installed.*kind is not installed"):
        await Programs().check()
