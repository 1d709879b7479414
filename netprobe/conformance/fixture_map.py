"""A case's relative names, mapped to the namespaces, pods and addresses of one fixture. Pure.

`probed_cells` works out on a fictional fixture which cells of a case are worth a probe.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final
from zlib import crc32

from netprobe.conformance import world
from netprobe.conformance.case import Case, CaseStep, identity
from netprobe.conformance.world import Cell
from netprobe.manifests import from_objects
from netprobe.model.cluster import Cluster, Namespace, Service, ServicePort
from netprobe.model.flow import Address, End, External, Family, Flow, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.matrix import Matrix
from netprobe.model.objects import Object
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.run.applied import narrow, set_version
from netprobe.simulate import Simulator

NO_MARK: Final = "fixture"
"""The mark of a fixture whose objects keep their names."""
CLUSTER_NETWORK_POLICY: Final = "ClusterNetworkPolicy"
_BUILTIN: Final = ("default", "kube-admin", "kube-baseline")  # tiers of Calico that exist everywhere
BEHIND: Final = "y/a"
"""The pod behind the Service."""
_ON_THE_SECOND: Final = ("x/b", "y/b", "z/b", "x/far")  # node
_PLACE = re.compile(rf"<(pods|[vxyz]/\w+|out:\w+)(?: by ([xyz]/\w+))?({world.OVER_6})?>")


@dataclass(frozen=True, slots=True)
class FixtureMap:
    """The real names of a fixture's namespaces, and the addresses of its pods, Service and hosts.

    `nodes` maps pods to nodes; the address of a pod's node is that of its kubelet, "node:x/late". A pod or
    host that is not in `addresses` does not exist. `host_port`: the port that hostNetwork pods serve.
    `mark`: the value of the label FIXTURE. `versions`: the apiVersion in which the cluster serves a kind, if
    that is not the one of the case.
    """

    namespaces: Mapping[str, str]
    addresses: Mapping[str, tuple[Address, ...]]
    nodes: Mapping[str, str] = field(default_factory=dict)
    host_port: int = world.HOST_PORT
    mark: str = NO_MARK
    versions: Mapping[str, str] = field(default_factory=dict)

    def end(self, name: str) -> End:
        if name == world.SERVICE:
            return self._service_ref
        if not world.is_pod(name):
            return External(self.addresses[name][0], name)
        return self.pod(name)

    def pod(self, name: str) -> PodRef:
        namespace, _, pod = name.partition("/")
        return PodRef(self.namespaces[namespace], pod)

    def flow(self, cell: Cell) -> Flow:
        """The flow of a cell; of the pods' first address family if the cell names none."""
        number, protocol, *family = cell.port.split("/")
        version: Family = self.addresses[world.PODS[0]][0].version
        if family:
            version = 6 if family[0] == "6" else 4
        source, destination = self.end(cell.source), self.end(cell.destination)
        port = self.host_port if cell.destination in world.ON_HOST else int(number)
        return Flow(source, destination, port, Protocol(protocol), version)

    def declared(self, step: CaseStep, cells: Iterable[Cell]) -> Matrix[Verdict]:
        """The expected verdict of every cell whose ends exist in a step."""
        return Matrix(
            (self.flow(cell), Verdict.ALLOW if _passes(step, cell) else Verdict.DENY)
            for cell in step.present(cells)
        )

    def policies(self, step: CaseStep, prefix: str = "") -> list[Object]:
        """The policies of a step as API objects; `prefix` is put before their names."""
        return [self._policy(policy, prefix) for policy in step.policies]

    def cluster(self, case: Case, step: CaseStep) -> Cluster:
        """The step as the simulator's input. InputError if a policy is not valid."""
        read = from_objects(self.policies(step))
        namespaces = {
            name: Namespace(name, {**self.labels(short, step), NAME_LABEL: name})
            for short, name in self.namespaces.items()
            if short != world.PASSING or step.passing
        }
        pods = {self.pod(name): self._pod(name, step) for name in (*world.PODS, *step.pods)}
        services = {}
        if world.SERVICE in case.scope.extra and world.SERVICE in self.addresses:
            ref = self._service_ref
            ports = (
                ServicePort(int(port.partition("/")[0]), target)
                for port, target in world.SERVICE_PORTS.items()
            )
            services[ref] = Service(ref, {"pod": "a"}, self.addresses[world.SERVICE], tuple(ports))
        return replace(read, namespaces=namespaces, pods=pods, services=services)

    def _pod(self, name: str, step: CaseStep) -> Pod:
        return Pod(
            self.pod(name),
            self.labels(name, step),
            self.addresses[name],
            world.container_ports(name),
            self.nodes.get(name, "n1"),
            self.addresses.get(f"{world.KUBELET}{name}", ()),
            host_network=name in world.ON_HOST,
        )

    def labels(self, name: str, step: CaseStep | None = None) -> dict[str, str]:
        """All labels of a namespace ("y") or a pod ("y/b") in a step."""
        own = {"pod": name.partition("/")[2]} if "/" in name else {world.FIXTURE: self.mark}
        if name in world.NAMESPACES:
            own["ns"] = name
        extra = {**step.pods.get(name, {}), **step.labels.get(name, {})} if step else {}
        return {**own, **extra}

    def with_pods(self, addresses: Mapping[str, tuple[Address, ...]], nodes: Mapping[str, str]) -> FixtureMap:
        return replace(self, addresses={**self.addresses, **addresses}, nodes={**self.nodes, **nodes})

    @property
    def _service_ref(self) -> ServiceRef:
        namespace, _, name = world.SERVICE.removeprefix("svc:").partition("/")
        return ServiceRef(self.namespaces[namespace], name)

    def service(self) -> Object:
        """The Service svc:y/web, which selects y/a."""
        ref = self._service_ref
        ports = [
            {"name": f"p{port.partition('/')[0]}", "port": int(port.partition("/")[0]), "targetPort": target}
            for port, target in world.SERVICE_PORTS.items()
        ]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": ref.name, "namespace": ref.namespace},
            "spec": {"selector": {"pod": "a"}, "ports": ports},
        }

    def _policy(self, policy: Mapping[str, Any], prefix: str) -> Object:
        key, namespace, name = identity(policy)
        metadata = {"name": f"{prefix}{name}"}
        if namespace:
            metadata["namespace"] = self.namespaces[namespace]
        else:  # unique in the whole cluster
            metadata["name"] = f"{self._unique}{metadata['name']}"
        made: Object = {**policy, "metadata": metadata, "spec": self._placed(policy["spec"])}
        if (tier := made["spec"].get("tier", _BUILTIN[0])) not in _BUILTIN and key != CLUSTER_NETWORK_POLICY:
            made["spec"]["tier"] = f"{self._unique}{prefix}{tier}"
        narrow(made, world.FIXTURE, self.mark)
        if key in self.versions:
            set_version(made, self.versions[key])
        return made

    @property
    def _unique(self) -> str:
        return "" if self.mark == NO_MARK else f"netprobe-{self.mark}-"

    def _placed(self, value: Any) -> Any:
        """A copy with placeholders replaced by addresses, and with real names of namespaces."""
        match value:
            case dict():
                copy = {key: self._placed(item) for key, item in value.items()}
                if NAME_LABEL in copy:
                    copy[NAME_LABEL] = self.namespaces.get(copy[NAME_LABEL], copy[NAME_LABEL])
                if copy.get("key") == NAME_LABEL:
                    copy["values"] = [self.namespaces.get(name, name) for name in copy.get("values") or ()]
                return copy
            case list():
                return [self._placed(item) for item in value]
            case str():
                return _PLACE.sub(
                    lambda match: self._network(match[1], match[2], 6 if match[3] else None), value
                )
            case _:
                return value

    def _network(self, what: str, by: str | None, family: Family | None) -> str:
        if what != "pods":
            return str(ip_network(self._address(what, family)))
        whole = covering([self._address(pod, family) for pod in world.PODS])
        return f"{self._address(by, family)}/{whole.prefixlen}" if by else str(whole)

    def _address(self, end: str, family: Family | None) -> Address:
        """The address of a family, or the first one."""
        return next(one for one in self.addresses[end] if family in {None, one.version})


def _passes(step: CaseStep, cell: Cell) -> bool:
    """A pod can always connect to itself (docs), so cases have no rows for it."""
    return cell.source == cell.destination or step.expected(cell)


def covering(addresses: Sequence[Address]) -> IPv4Network | IPv6Network:
    """The smallest network that contains all addresses, which are of one family."""
    network = ip_network(addresses[0])
    while not all(address in network for address in addresses):
        network = network.supernet()
    return network


def fictional_map(*, dual: bool = True) -> FixtureMap:
    """A fixture that exists nowhere, for work without packets; `dual`: its pods have IPv6 addresses too."""
    addresses: dict[str, tuple[Address, ...]] = {}
    for third, namespace in enumerate((*world.NAMESPACES, world.PASSING), 1):
        for fourth, pod in ((1, "a"), (2, "b"), (17, "c"), (33, "late")):
            both = ip_address(f"10.244.{third}.{fourth}"), ip_address(f"fd00:244::{third}:{fourth}")
            addresses[f"{namespace}/{pod}"] = both if dual else both[:1]
    addresses[world.SERVICE] = (ip_address("10.96.0.80"),)
    addresses |= {name: (ip_address(f"203.0.113.{n}"),) for n, name in enumerate(world.OUTSIDE, 50)}
    addresses |= {name: (ip_address(f"192.0.2.{n}"),) for n, name in enumerate(world.ON_HOST, 1)}
    nodes = {name: "n2" if name in {*_ON_THE_SECOND} else "n1" for name in addresses if world.is_pod(name)}
    for name, node in nodes.items():
        addresses[f"{world.KUBELET}{name}"] = (ip_address(f"192.0.2.{node[1:]}"),)
    return FixtureMap(
        {name: name for name in (*world.NAMESPACES, world.EMPTY, world.PASSING)}, addresses, nodes
    )


_SITE = fictional_map()


def probed_cells(case: Case, *, full: bool = False) -> tuple[Cell, ...]:
    """The cells to probe, in the order of the matrix, without SCTP, which nc does not support.

    `full`: all cells. Otherwise every pair with a pod that some policy of the case selects in some step: on
    all ports if their expected verdicts differ, else on one; and one cell per source of everything else.
    The case's name decides which ones, so that many cases together cover them all. A case that isolates no
    pod is probed in full.
    """
    cells = [cell for cell in case.scope.cells() if "/SCTP" not in cell.port]
    touched = isolated_pods(case)
    itself = [
        Cell(pod, pod, port)
        for pod in sorted(touched)
        for port in dict.fromkeys(a.port for a in cells if a[1] == pod)
    ]
    if full or not touched:
        return (*cells, *itself)
    number = crc32(case.name.encode())
    pairs: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        pairs[cell.source, cell.destination].append(cell)
    chosen: set[Cell] = set()
    rest: dict[str, list[Cell]] = defaultdict(list)
    for index, ((source, destination), some) in enumerate(pairs.items()):
        if touched & {source, _pod(destination)}:
            chosen.update(some if _differ(case, some) else [some[(number + index) % len(some)]])
        else:
            rest[source] += some
    chosen.update(some[(number + index) % len(some)] for index, some in enumerate(rest.values()))
    return (*(cell for cell in cells if cell in chosen), *itself[:2])


def isolated_pods(case: Case) -> frozenset[str]:
    """The pods that a policy of the case isolates in some step."""
    found: set[str] = set()
    for step in case.steps:
        simulator = Simulator(_SITE.cluster(case, step))
        for name in (*world.PODS, *step.pods):
            pod = simulator.cluster.pods[_SITE.pod(name)]
            if any(simulator.sides.applying(pod, direction) for direction in Direction):
                found.add(name)
    return frozenset(found)


def _pod(end: str) -> str:
    return BEHIND if end == world.SERVICE else end


def _differ(case: Case, pair: Sequence[Cell]) -> bool:
    """Whether the expected verdict depends on the port (or the case tells address families apart)."""
    if case.scope.families:
        return True
    return any(len({step.expected(cell) for cell in pair}) > 1 for step in case.steps)
