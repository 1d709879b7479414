"""The API objects of a run, and what admission and controllers changed of them. Pure.

Everything that a run makes carries the label `netprobe.dev/run`. Probe pods satisfy the `restricted` Pod
Security Standard, mount no token, request few resources, and end at a deadline (`activeDeadlineSeconds`)
even if the run was killed.

Policies see changed labels, so these are used from then on. Added containers, and policies that are not the
run's, change what a probe means: each is reported in one sentence.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, External, Pod, PodRef, Protocol
from netprobe.model.labels import NAME_LABEL, Labels
from netprobe.model.objects import Object
from netprobe.model.text import listed

RUN: Final = "netprobe.dev/run"
ROLE: Final = "netprobe.dev/role"
DEFAULT_ACCOUNT: Final = "default"
"""The service account that every namespace has."""
CHANGE: Final = "netprobe.dev/change"  # the number of the last change, at the canaries
ADDRESS: Final = "netprobe.dev/address"  # on a pod of OUTSIDE: the address of an external host of the lab
OUTSIDE: Final = "netprobe-outside"
CONTAINER: Final = "probe"

RESOURCES: Final[Object] = {
    "requests": {"cpu": "10m", "memory": "16Mi"},
    "limits": {"cpu": "500m", "memory": "128Mi"},
}
"""A probe starts dozens of processes at once and then waits: half a CPU keeps it responsive."""

FRUGAL: Final[Object] = {
    "requests": {"cpu": "100m", "memory": "64Mi"},
    "limits": {"cpu": "100m", "memory": "64Mi"},
}
"""Used if a LimitRange or a quota refuses RESOURCES: limits equal to requests satisfy every ratio."""


@dataclass(frozen=True, slots=True)
class PodOptions:
    """How probe pods are made on this cluster."""

    image: str = "docker.io/library/alpine:3.20"
    lifetime_s: int = 3600
    pull_secret: str | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()

    def on_any_node(self) -> PodOptions:
        """The same for a pod whose node is chosen: no selector, and every taint tolerated."""
        return replace(self, node_selector={}, tolerations=({"operator": "Exists"},))


@dataclass(frozen=True, slots=True)
class OutsideHost:
    """A host outside the pod network, which only the lab can make, and the ports that it serves."""

    external: External
    ports: tuple[ContainerPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Fixture:
    """What a run creates. A pod's `node` pins it to that node; None leaves the choice to the scheduler.

    `annotations` are those of pods, and of namespaces by name. `twins`: second pods with the same labels on
    another node, by the pod that each copies; they serve nothing.
    `accounts`: ServiceAccounts that pods use.
    """

    namespaces: tuple[Namespace, ...]
    pods: tuple[Pod, ...]
    outside: tuple[OutsideHost, ...] = ()
    annotations: Mapping[PodRef | str, Mapping[str, str]] = field(default_factory=dict)
    twins: Mapping[PodRef, Pod] = field(default_factory=dict)
    accounts: tuple[Object, ...] = ()


def run_namespace(run: str) -> str:
    """The name of the run's own namespace, for its Lease and its canaries."""
    return f"netprobe-{run}"


def namespace(
    name: str, run: str, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
) -> Object:
    own = {key: value for key, value in (labels or {}).items() if key != NAME_LABEL}
    meta = {"name": name, "labels": {**own, RUN: run}, "annotations": dict(annotations or {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


def pod(
    ref: PodRef,
    run: str,
    options: PodOptions,
    *,
    labels: Mapping[str, str] | None = None,
    ports: Iterable[ContainerPort] = (),
    node: str | None = None,
    annotations: Mapping[str, str] | None = None,
    account: str = DEFAULT_ACCOUNT,
) -> Object:
    """A probe pod that serves `ports` and lets probes be run in it."""
    served = tuple(ports)
    spec: dict[str, Any] = {
        "restartPolicy": "Always",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Not 0: the API would forget the pod while its processes still run.
        "terminationGracePeriodSeconds": 1,
        "activeDeadlineSeconds": options.lifetime_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
            # Ports below 1024 without a capability; one of the sysctls that `restricted` admits.
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": options.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", listeners(served)],
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "ports": [_port(p) for p in served],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": copy.deepcopy(RESOURCES),
            }
        ],
    }
    if options.pull_secret:
        spec["imagePullSecrets"] = [{"name": options.pull_secret}]
    if options.node_selector:
        spec["nodeSelector"] = dict(options.node_selector)
    if options.tolerations:
        spec["tolerations"] = [dict(t) for t in options.tolerations]
    if node is not None:
        spec["nodeName"] = node
    if account != DEFAULT_ACCOUNT:
        spec["serviceAccountName"] = account
    metadata: dict[str, Any] = {
        "name": ref.name,
        "namespace": ref.namespace,
        "labels": {**(labels or {}), RUN: run},
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def on_node_network(obj: Object) -> Object:
    """The same pod in the network of its node."""
    hosted: Object = copy.deepcopy(obj)
    hosted["spec"]["hostNetwork"] = True
    del hosted["spec"]["securityContext"]["sysctls"]  # the node's own: refused together with hostNetwork
    return hosted


def frugal(obj: Object) -> Object:
    """The same pod with FRUGAL resources."""
    thin: Object = copy.deepcopy(obj)
    for container in thin["spec"]["containers"]:
        container["resources"] = copy.deepcopy(FRUGAL)
    return thin


def _port(port: ContainerPort) -> Object:
    entry: Object = {"containerPort": port.number, "protocol": port.protocol.value}
    if port.name:
        entry["name"] = port.name
    return entry


FIND_NC: Final = """\
nc=
for each in nc 'busybox nc'; do
case $($each -h 2>&1 </dev/null) in *BusyBox*-lk*) nc=$each; break ;; esac
done
[ "$nc" ] || { echo 'this image has no BusyBox nc that can serve (-lk): see --image'; exit 1; }"""
"""The image's own nc may be another one in front of BusyBox'."""


def listeners(ports: Iterable[ContainerPort]) -> str:
    """The shell command that serves the ports, for BusyBox nc.

    TCP: one nc for all clients. UDP: nc talks to one client and ends, so two loops take turns; the prober
    sends a lost datagram again. The shell stays, and ends at once on SIGTERM.
    """
    lines = ["trap exit TERM INT", FIND_NC]
    for port in ports:
        match port.protocol:
            case Protocol.TCP:
                lines.append(f"(while :; do $nc -lk -p {port.number} -e true; sleep 0.2; done) &")
            case Protocol.UDP:
                loop = (
                    f"(while :; do $nc -u -l -p {port.number} -e head -c 1 || sleep 0.2; done) 2>/dev/null &"
                )
                lines += [loop, loop]
            case Protocol.SCTP:
                pass  # nc cannot serve it: its flows are skipped, with that reason
    return "\n".join([*lines, "while :; do sleep 3600 & wait $!; done"])


def external(host: OutsideHost, run: str, options: PodOptions) -> Object:
    """The lab's external host: a pod of the reserved namespace, with its address as an annotation."""
    slug = str(host.external.address).replace(":", "-").replace(".", "-")
    ref = PodRef(OUTSIDE, f"host-{slug}-{run}")
    return pod(ref, run, options, ports=host.ports, annotations={ADDRESS: str(host.external.address)})


def live_labels(obj: Object) -> Labels:
    """The labels of a live object, without those that mark the run's own objects."""
    have: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return {key: value for key, value in have.items() if key != RUN and not key.startswith(CHANGE)}


def sidecar_warnings(pods: Iterable[Object]) -> list[str]:
    """One sentence if pods have containers that the run did not create; usually none."""
    names = Counter(name for pod in pods for name in _added_containers(pod))
    if not names:
        return []
    counted = ", ".join(f"{name} ({count})" for name, count in sorted(names.items()))
    sentence = (
        f"admission added containers to the probe pods: {counted}. A proxy that answers for the destination "
        "makes every connection look open, so the observations may be wrong; exempt pods with the label "
        "netprobe.dev/run from the injection"
    )
    return [sentence]


def _added_containers(pod: Object) -> list[str]:
    spec = pod["spec"]
    added = [c["name"] for c in spec["containers"] if c["name"] != CONTAINER]
    return added + [c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]


def label_warnings(pairs: Iterable[tuple[Object, Object]]) -> list[str]:
    """One sentence for each namespace whose shadow pods have other labels than they were created with.

    `pairs`: each pod as it was created and as it is. Policies may treat it differently from the real pod.
    """
    changed: dict[str, set[str]] = {}
    for created, live in pairs:
        wanted, have = live_labels(created), live_labels(live)
        keys = {key for key in {*wanted, *have} if wanted.get(key) != have.get(key)}
        if keys:
            changed.setdefault(live["metadata"]["namespace"], set()).update(keys)
    return [
        f"admission changed labels of shadow pods in {namespace}: {', '.join(sorted(keys))}. Where a policy "
        "selects by one of them, the observation may differ from what the real pod sees"
        for namespace, keys in changed.items()
    ]


def is_too_much(refusal: str) -> bool:
    """Whether a pod was refused for its processors and memory, as a LimitRange or a quota words it."""
    return any(word in refusal for word in ("exceeded quota", "usage per ", "limit to request ratio"))


def policy_warnings(found: Iterable[Object], run: str) -> list[str]:
    """One sentence if the run's namespaces have policies that are not the run's; usually none."""
    foreign = sorted(
        f"{meta['namespace']}/{meta['name']}"
        for meta in (obj["metadata"] for obj in found)
        if (meta.get("labels") or {}).get(RUN) != run
    )
    if not foreign:
        return []
    sentence = (
        f"a controller adds NetworkPolicies to new namespaces: {listed(foreign, 4)}. They affect the "
        "observation but not the simulation, and paths that they close cannot be proven; exempt the "
        "run's namespaces, which have the label netprobe.dev/run"
    )
    return [sentence]
