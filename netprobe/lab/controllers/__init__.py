"""The loops that make a cluster out of stored objects."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.operations import Operations
from netprobe.lab.controllers.base import Controller
from netprobe.lab.controllers.garbage import GarbageCollector
from netprobe.lab.controllers.namespaces import Namespaces


def controllers(operations: Operations, ca: str) -> list[Controller[Any]]:
    """All of them; `ca` is the PEM text that every namespace is given."""
    return [Namespaces(operations, ca), GarbageCollector(operations)]
