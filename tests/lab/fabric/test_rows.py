"""The truth tables of policy kinds as packets: API objects, through the control plane, to the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from netprobe.lab.api.admission.definitions import serve_custom_kinds
from netprobe.lab.api.bootstrap import bootstrap
from netprobe.lab.api.operations import Operations, Writer
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.server import Loop
from netprobe.lab.api.store import ObjectKey, Store
from netprobe.lab.enforcer import OUTSIDE as OUT
from netprobe.lab.enforcer import StatePusher
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.kubelet import ADDRESS, Kubelet
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, World
from tests.semantics.calico_rows import OUTSIDE, ROWS, WORLD


class Cluster:
    """The lab without HTTP: objects in, packets out."""

    def __init__(self, network: LabNetwork) -> None:
        store = Store()
        serve_custom_kinds(store)
        self.operations = Operations(store)
        self.enforcer = StatePusher(store, network)
        loops: list[Loop] = [self.enforcer, Kubelet(self.operations, network, self.enforcer)]
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
