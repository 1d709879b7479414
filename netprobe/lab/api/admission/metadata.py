"""The metadata of an object: its name, its labels, and its owners."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netprobe.lab.api.resources import NAMESPACES, SERVICES, Resource
from netprobe.policies import names
from netprobe.policies.fields import Decoder, FieldError, invalid
from netprobe.policies.metadata import NameRule, validate_metadata

_SERVICE_NAME = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")


def check_metadata(resource: Resource, metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    """What is wrong with the metadata. The garbage collector relies on complete owner references."""
    decoder = Decoder(strict=False)
    validate_metadata(decoder, metadata, _name_rule(resource))
    yield from decoder.errors
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield invalid(f"metadata.ownerReferences[{index}].{field}", "", "must not be empty")


def _name_rule(resource: Resource) -> NameRule:
    if resource is NAMESPACES:
        return names.dns_label
    if resource is SERVICES:
        return _service_name
    if resource.group == "rbac.authorization.k8s.io":
        return lambda name: ["may not contain '/' or '%'"] if set(name) & set("/%") else []
    return names.dns_subdomain


def _service_name(name: str) -> list[str]:
    """A DNS label of RFC 1035, which begins with a letter."""
    if len(name) > 63:
        return ["must be no more than 63 characters"]
    if not _SERVICE_NAME.fullmatch(name):
        allowed = "lower case alphanumeric characters or '-'"
        return [f"a DNS-1035 label must consist of {allowed}, and start with an alphabetic character"]
    return []


def each(path: str, value: Any, messages: Iterable[str]) -> Iterator[FieldError]:
    """One error for each message about a value."""
    yield from (invalid(path, value, message) for message in messages)
