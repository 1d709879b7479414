"""The control loops that make a cluster out of stored objects."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.operations import Operations
from netprobe.lab.controllers.base import Controller
from netprobe.lab.controllers.cleanup import GarbageCollector, Namespaces
from netprobe.lab.controllers.deployments import Deployments
from netprobe.lab.controllers.endpoints import Endpoints
from netprobe.lab.controllers.workloads import WORKLOADS, WorkloadController


def controllers(operations: Operations, ca: str) -> list[Controller[Any]]:
    """All of them. `ca` is the PEM text that every namespace gets."""
    return [
        Namespaces(operations, ca),
        GarbageCollector(operations),
        Deployments(operations),
        *(WorkloadController(operations, workload) for workload in WORKLOADS),
        Endpoints(operations),
    ]
