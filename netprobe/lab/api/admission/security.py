"""Pod Security: the standards `baseline` and `restricted`, enforced by the labels of a namespace.

Checks, their order and their words are those of a real server's plugin (pod-security-admission, `policy`),
without what concerns Windows. Every version label is taken for the latest version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from netprobe.lab.api.admission.names import invalid
from netprobe.lab.api.resources import CRON_JOBS, JOBS, PODS, REPLICATION_CONTROLLERS, Resource
from netprobe.lab.api.status import Cause
from netprobe.model.objects import ReadOnlyObject

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
_MODES = ("enforce", "audit", "warn")

_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    *(f"net.ipv4.{name}" for name in ("ip_local_port_range", "ip_unprivileged_port_start", "tcp_syncookies")),
    *(f"net.ipv4.{name}" for name in ("ping_group_range", "ip_local_reserved_ports", "tcp_keepalive_time")),
    *(f"net.ipv4.{name}" for name in ("tcp_fin_timeout", "tcp_keepalive_intvl", "tcp_keepalive_probes")),
    *("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"),
    "secret",
}
_SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


@dataclass(frozen=True, slots=True)
class Violation:
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})"


def check_labels(labels: Mapping[str, str]) -> Iterator[Cause]:
    """The labels of a namespace that name a level."""
    for mode in _MODES:
        level = labels.get(key := f"{PREFIX}{mode}")
        if level is not None and level not in LEVELS:
            yield invalid(f"metadata.labels[{key}]", level, f"must be one of {', '.join(LEVELS)}")


def violated(namespace: ReadOnlyObject, mode: str, spec: ReadOnlyObject) -> tuple[str, list[Violation]]:
    """The level of a mode, as messages name it ("restricted:latest"), and what of it a pod violates."""
    labels = namespace["metadata"].get("labels") or {}
    level = labels.get(f"{PREFIX}{mode}", "privileged")
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    return f"{level}:{version}", list(violations(level, spec))


def violations(level: str, spec: ReadOnlyObject) -> Iterator[Violation]:
    """What of a level's checks a pod's spec does not pass, in the order of a real server."""
    if level == "privileged":
        return
    checks = _BASELINE if level == "baseline" else _RESTRICTED
    for reason, check in checks:
        if details := [detail for detail in check(spec) if detail]:
            yield Violation(reason, "; ".join(details))


def template_of(resource: Resource, obj: ReadOnlyObject) -> ReadOnlyObject | None:
    """The spec of the pods that an object makes, which a warning speaks of."""
    spec = obj.get("spec") or {}
    if resource is PODS:
        return spec
    if resource is CRON_JOBS:
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    elif resource.group != "apps" and resource not in {JOBS, REPLICATION_CONTROLLERS}:
        return None
    template: ReadOnlyObject = (spec.get("template") or {}).get("spec") or {}
    return template


# Checks: a pod's spec -> details. The words of one detail name all containers that it is true of.


def _containers(spec: ReadOnlyObject) -> list[ReadOnlyObject]:
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [container for kind in kinds for container in spec.get(kind) or ()]


def _context(of: ReadOnlyObject) -> ReadOnlyObject:
    return of.get("securityContext") or {}


def _named(kind: str, names: Iterable[str]) -> str:
    listed = list(names)
    return f"{kind}{'s' if len(listed) > 1 else ''} " + ", ".join(f'"{name}"' for name in listed)


def _of_containers(
    spec: ReadOnlyObject, holds: Callable[[ReadOnlyObject], bool], sentence: str
) -> Iterator[str]:
    if names := [c["name"] for c in _containers(spec) if holds(c)]:
        yield f"{_named('container', names)} {sentence}"


def _added(spec: ReadOnlyObject, allowed: set[str]) -> Iterator[str]:
    found: dict[str, set[str]] = {}
    for container in _containers(spec):
        added = (_context(container).get("capabilities") or {}).get("add") or ()
        if over := set(added) - allowed:
            found[container["name"]] = over
    if found:
        what = ", ".join(f'"{name}"' for name in sorted(set().union(*found.values())))
        yield f"{_named('container', found)} must not include {what} in securityContext.capabilities.add"


def _default_capabilities(spec: ReadOnlyObject) -> Iterator[str]:
    yield from _added(spec, _CAPABILITIES)


def _restricted_capabilities(spec: ReadOnlyObject) -> Iterator[str]:
    def keeps(container: ReadOnlyObject) -> bool:
        return "ALL" not in ((_context(container).get("capabilities") or {}).get("drop") or ())

    yield from _of_containers(spec, keeps, 'must set securityContext.capabilities.drop=["ALL"]')
    yield from _added(spec, {"NET_BIND_SERVICE"})


def _host_namespaces(spec: ReadOnlyObject) -> Iterator[str]:
    yield ", ".join(f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))


def _host_paths(spec: ReadOnlyObject) -> Iterator[str]:
    if names := [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]:
        yield _named("volume", names)


def _host_ports(spec: ReadOnlyObject) -> Iterator[str]:
    taken = [
        (c["name"], p["hostPort"])
        for c in _containers(spec)
        for p in c.get("ports") or ()
        if p.get("hostPort")
    ]
    names = list(dict.fromkeys(name for name, _ in taken))
    numbers = sorted({number for _, number in taken})
    if names:
        verb = "use" if len(names) > 1 else "uses"
        plural = "s" if len(numbers) > 1 else ""
        yield f"{_named('container', names)} {verb} hostPort{plural} {', '.join(map(str, numbers))}"


def _privileged(spec: ReadOnlyObject) -> Iterator[str]:
    def holds(container: ReadOnlyObject) -> bool:
        return bool(_context(container).get("privileged"))

    yield from _of_containers(spec, holds, "must not set securityContext.privileged=true")


def _proc_mounts(spec: ReadOnlyObject) -> Iterator[str]:
    def holds(container: ReadOnlyObject) -> bool:
        return bool(_context(container).get("procMount", "Default") != "Default")

    yield from _of_containers(spec, holds, 'must not set securityContext.procMount to "Unmasked"')


def _selinux(spec: ReadOnlyObject) -> Iterator[str]:
    for of in (spec, *_containers(spec)):
        options = _context(of).get("seLinuxOptions") or {}
        whose = "pod" if of is spec else _named("container", [of["name"]])
        if (kind := options.get("type") or "") not in _SELINUX:
            yield f'{whose} set forbidden securityContext.seLinuxOptions: type "{kind}"'
        for key in ("user", "role"):
            if options.get(key):
                yield f"{whose} set forbidden securityContext.seLinuxOptions: {key} may not be set"


def _profile(key: str) -> Callable[[ReadOnlyObject], Iterator[str]]:
    def unconfined(of: ReadOnlyObject) -> bool:
        return (_context(of).get(key) or {}).get("type") == "Unconfined"

    def check(spec: ReadOnlyObject) -> Iterator[str]:
        sentence = f'must not set securityContext.{key}.type to "Unconfined"'
        if unconfined(spec):
            yield f"pod {sentence}"
        yield from _of_containers(spec, unconfined, sentence)

    return check


def _sysctls(spec: ReadOnlyObject) -> Iterator[str]:
    yield ", ".join(s["name"] for s in _context(spec).get("sysctls") or () if s["name"] not in _SYSCTLS)


def _escalation(spec: ReadOnlyObject) -> Iterator[str]:
    def holds(container: ReadOnlyObject) -> bool:
        return _context(container).get("allowPrivilegeEscalation") is not False

    yield from _of_containers(spec, holds, "must set securityContext.allowPrivilegeEscalation=false")


def _volume_types(spec: ReadOnlyObject) -> Iterator[str]:
    kinds = {
        v["name"]: next((key for key in v if key != "name"), "emptyDir") for v in spec.get("volumes") or ()
    }
    for kind in sorted(set(kinds.values()) - _VOLUMES):
        names = [name for name, own in kinds.items() if own == kind]
        verb = "use" if len(names) > 1 else "uses"
        yield f'{_named("volume", names)} {verb} restricted volume type "{kind}"'


def _non_root(spec: ReadOnlyObject) -> Iterator[str]:
    wanted = "securityContext.runAsNonRoot"
    yield from _of_containers(
        spec, lambda c: _context(c).get("runAsNonRoot") is False, f"must not set {wanted}=false"
    )
    own = _context(spec).get("runAsNonRoot")
    if own is False:
        yield f"pod must not set {wanted}=false"
    elif own is None:
        names = [c["name"] for c in _containers(spec) if _context(c).get("runAsNonRoot") is None]
        if names:
            yield f"pod or {_named('container', names)} must set {wanted}=true"


def _root(spec: ReadOnlyObject) -> Iterator[str]:
    if _context(spec).get("runAsUser") == 0:
        yield "pod must not set runAsUser=0"
    yield from _of_containers(spec, lambda c: _context(c).get("runAsUser") == 0, "must not set runAsUser=0")


def _restricted_profile(spec: ReadOnlyObject) -> Iterator[str]:
    def of(one: ReadOnlyObject) -> str | None:
        kind: str | None = (_context(one).get("seccompProfile") or {}).get("type")
        return kind

    fine = {"RuntimeDefault", "Localhost"}
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    own = of(spec)
    if own is not None and own not in fine:
        yield f'pod must not set securityContext.seccompProfile.type to "{own}"'
    bad = [c["name"] for c in _containers(spec) if (kind := of(c)) is not None and kind not in fine]
    if bad:
        yield f"{_named('container', bad)} {wanted}"
    if own is None and (names := [c["name"] for c in _containers(spec) if of(c) is None]):
        yield f"pod or {_named('container', names)} {wanted}"


_Check = tuple[str, Callable[[ReadOnlyObject], Iterator[str]]]

_FIRST: tuple[_Check, ...] = (("forbidden AppArmor profile", _profile("appArmorProfile")),)
_COMMON: tuple[_Check, ...] = (
    ("host namespaces", _host_namespaces),
    ("hostPath volumes", _host_paths),
    ("hostPort", _host_ports),
    ("privileged", _privileged),
    ("procMount", _proc_mounts),
    ("seLinuxOptions", _selinux),
)
_LAST: tuple[_Check, ...] = (("forbidden sysctls", _sysctls),)
_BASELINE: tuple[_Check, ...] = (
    *_FIRST,
    ("non-default capabilities", _default_capabilities),
    *_COMMON,
    ("seccompProfile", _profile("seccompProfile")),
    *_LAST,
)
_RESTRICTED: tuple[_Check, ...] = (
    *_FIRST,
    *_COMMON,
    *_LAST,
    ("allowPrivilegeEscalation != false", _escalation),
    ("unrestricted capabilities", _restricted_capabilities),
    ("restricted volume types", _volume_types),
    ("runAsNonRoot != true", _non_root),
    ("runAsUser=0", _root),
    ("seccompProfile", _restricted_profile),
)
