"""The truth tables of policy kinds as packets: of Calico's as API objects, through the control plane."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from netprobe.lab.api.admission import serve_custom_kinds
from netprobe.lab.api.bootstrap import bootstrap
from netprobe.lab.api.operations import Operations, Writer
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.store import ObjectKey, Store
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.state import InstalledPolicy
from netprobe.lab.kubelet import ADDRESS, Kubelet
from netprobe.lab.state_pusher import OUTSIDE as OUT
from netprobe.lab.state_pusher import StatePusher
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, World
from tests.semantics import stage
from tests.semantics import test_clusternetworkpolicy as cnp
from tests.semantics.calico_rows import OUTSIDE, ROWS, WORLD


class Cluster:
    """The lab without HTTP: objects in, packets out."""

    def __init__(self, network: LabNetwork) -> None:
        store = Store()
        serve_custom_kinds(store)
        self.operations = Operations(store)
        self.enforcer = StatePusher(store, network)
        loops: list[StatePusher | Kubelet] = [self.enforcer, Kubelet(self.operations, network, self.enforcer)]
        bootstrap(self.operations, network)
        self.tasks = [asyncio.create_task(loop.run()) for loop in loops]
        self.world = World(network)

    def create(self, obj: Object) -> tuple[object, ObjectKey]:
        metadata = obj["metadata"]
        resource = self.operations.store.catalog.of_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None, obj
        made = self.operations.create(resource.storage, metadata.get("namespace", ""), obj, Writer())
        return resource.storage, Store.key(made)

    async def ready(self, pods: Iterable[str]) -> None:
        """Wait until the pods run; their addresses are then those of `world`."""
        for name in pods:
            ref = PodRef.parse(name)
            while True:
                stored = self.operations.store.get(PODS, ObjectKey(ref.namespace, ref.name))
                assert stored is not None
                if stored.object["status"]["phase"] == "Running":
                    break
                await asyncio.wait([self.operations.store.wait(PODS)])
            self.world.members[ref] = self.enforcer.state().members[ref]


@in_a_lab(deny_with="reject")
async def test_calico(network: LabNetwork) -> None:
    cluster = Cluster(network)
    for obj in WORLD:
        cluster.create(obj)
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}]}
    outside = {"name": "host", "namespace": OUT, "annotations": {ADDRESS: OUTSIDE}}
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUT}})
    cluster.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": outside, "spec": {"containers": [container]}}
    )
    names = [f"{o['metadata']['namespace']}/{o['metadata']['name']}" for o in WORLD if o["kind"] == "Pod"]
    await cluster.ready([*names, f"{OUT}/host"])
    addresses = {name: str(cluster.world.address(name)) for name in names}
    played = 0
    for row in ROWS:
        objects = row.objects(addresses)
        if any(obj["apiVersion"].startswith("crd.") for obj in objects):
            continue  # how Calico stores its objects; the lab serves what its API shows
        made = [cluster.create(obj) for obj in objects]
        await cluster.enforcer.caught_up()
        for source, destination, port, allowed in row.flows():
            seen = await cluster.world.probe(
                source if "/" in source else f"{OUT}/host",
                str(cluster.world.address(destination)) if "/" in destination else destination,
                port,
            )
            assert (seen == OPEN) == allowed, f"row {row.number}: {source} -> {destination} {port}: {seen}"
        for resource, key in reversed(made):
            cluster.operations.store.remove(resource, key)  # type: ignore[arg-type]
        played += 1
    assert played > 30


@in_a_lab(deny_with="reject", nodes=2)
async def test_cluster_network_policy(network: LabNetwork) -> None:
    """One set of pods under the policies of every row."""
    world = World(network)
    world.namespaces = {
        name: {**labels, "kubernetes.io/metadata.name": name} for name, labels in stage.NAMESPACES.items()
    }
    for pod in (one for one in stage.PODS if str(one.ref) in {"x/a", "x/b", "y/a"}):
        ports = [f"{port.name}={port.number}/{port.protocol.value}" for port in pod.ports]
        await world.add(
            str(pod.ref), pod.labels, *ports, *(["80"] if str(pod.ref) == "x/b" else []), node=pod.node or ""
        )
    await world.add("out/host", {}, "80", external=["203.0.113.50"])
    rows: list[tuple[Any, Any, list[str], Any]] = [
        (row.id, row.values[0], cnp.TO_X_A, row.values[1]) for row in cnp.INGRESS
    ]
    rows += [(row.id, [cnp.cnp(str(row.values[0]))], cnp.FROM_X_A, row.values[1]) for row in cnp.EGRESS]
    for action, expected in (row.values for row in cnp.FUTURE):
        future = [cnp.cnp(cnp.ingress(str(action), "{future: {}}"))]
        future += [cnp.BASELINE] if action == "Accept" else []
        rows.append((f"a peer of a newer definition, {action}", future, cnp.TO_X_A, expected))
    rows.append(
        ("a NetworkPolicy of the other direction", [cnp.BASELINE, cnp.OTHER_WAY], cnp.TO_X_A, "X X .")
    )
    for sentence, policies, flows, expected in rows:
        await world.enforce(*(InstalledPolicy(policy, {}) for policy in policies))
        ends = (flow.replace("out", "out/host").split() for flow in flows)
        seen = await world.row(
            (source, destination, int(port), "TCP", 4) for source, _, destination, port in ends
        )
        assert seen == expected.replace("!", ""), sentence
