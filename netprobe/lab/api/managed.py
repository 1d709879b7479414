"""metadata.managedFields: who owns which field."""

from __future__ import annotations

from netprobe.lab.api.resources import Resource
from netprobe.lab.api.store import Object


def created(resource: Resource, obj: Object, manager: str) -> None:
    """Record a creation."""


def updated(resource: Resource, obj: Object, old: Object, manager: str, subresource: str) -> None:
    """Record an update."""
