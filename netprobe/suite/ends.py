"""Who a row's `from` and `to` name.

frontend/web                   a pod, all replicas of a pod, or all pods of a workload
monitoring/*, */*, shop-?/web  the same with globs
frontend/app=web,tier=front    the pods of a namespace (or of a glob) that have all these labels
svc:shop/cart                  a Service, as a destination
partner-api, partner-*         an external host by the name that the suite gives it
203.0.113.9                    an address outside the cluster
*                              every pod and every external host
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any

from netprobe.model.flow import Address, External, Pod, PodRef, ServiceRef
from netprobe.policies import names

_GLOB = re.compile(r"[a-z0-9.*?-]+")


@dataclass(frozen=True, slots=True)
class End:
    """A pattern of one end of a row; `text` is what the suite says."""

    text: str

    @property
    def is_exact(self) -> bool:
        """Whether it can only mean one thing, so that a row may ask for a pod's way to itself."""
        return False

    def matches_pod(self, pod: Pod) -> bool:  # noqa: ARG002
        return False

    def matches_external(self, external: External) -> bool:  # noqa: ARG002
        return False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Everybody(End):
    def matches_pod(self, pod: Pod) -> bool:  # noqa: ARG002
        return True

    def matches_external(self, external: External) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True)
class PodPattern(End):
    namespace: str
    name: str

    @property
    def is_exact(self) -> bool:
        return not re.search("[*?]", self.text)

    def matches_pod(self, pod: Pod) -> bool:
        if not fnmatchcase(pod.ref.namespace, self.namespace):
            return False
        workload = pod.workload.partition("/")[2] if pod.workload else pod.ref.name
        return fnmatchcase(pod.ref.name, self.name) or fnmatchcase(workload, self.name)


@dataclass(frozen=True, slots=True)
class LabelPattern(End):
    namespace: str
    labels: tuple[tuple[str, str], ...]

    def matches_pod(self, pod: Pod) -> bool:
        return fnmatchcase(pod.ref.namespace, self.namespace) and all(
            pod.labels.get(key) == value for key, value in self.labels
        )


@dataclass(frozen=True, slots=True)
class ExternalPattern(End):
    def matches_external(self, external: External) -> bool:
        return external.name is not None and fnmatchcase(external.name, self.text)


@dataclass(frozen=True, slots=True)
class AddressEnd(End):
    address: Address

    def matches_external(self, external: External) -> bool:
        return external.address == self.address


@dataclass(frozen=True, slots=True)
class ServiceEnd(End):
    ref: ServiceRef


def parse_end(value: Any) -> End:
    """Read one end; ValueError says what is wrong with it."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be text such as frontend/web, monitoring/*, partner-api or *")
    if value == "*":
        return Everybody(value)
    if value.startswith("svc:"):
        return ServiceEnd(value, ServiceRef.parse(value))
    try:
        return AddressEnd(value, ip_address(value))
    except ValueError:
        pass
    namespace, slash, rest = value.partition("/")
    if not slash:
        return ExternalPattern(_glob(value, "the name of an external host (a pod is NAMESPACE/POD)"))
    namespace = _glob(namespace, "a namespace")
    if "=" in rest:
        return LabelPattern(value, namespace, tuple(_labels(rest).items()))
    return PodPattern(value, namespace, _glob(rest, "a pod (labels are KEY=VALUE)"))


def _glob(text: str, what: str) -> str:
    if not _GLOB.fullmatch(text):
        raise ValueError(f"{text!r} is not {what}")
    return text


def _labels(text: str) -> Mapping[str, str]:
    labels: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        value = value.removeprefix("=")  # kubectl takes == too
        problems = [*names.label_key(key), *names.label_value(value)]
        if not equals or problems:
            raise ValueError(f"{part!r} is not a label KEY=VALUE: {'; '.join(problems)}")
        labels[key] = value
    return labels


def names_of(pods: Mapping[PodRef, Pod], externals: tuple[External, ...]) -> list[str]:
    """What a row could have named, for hints."""
    return [*map(str, pods), *(external.name for external in externals if external.name)]
