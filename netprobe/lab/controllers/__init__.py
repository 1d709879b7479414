"""The loops that make a cluster out of stored objects."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.operations import Operations
from netprobe.lab.controllers.base import Controller
from netprobe.lab.controllers.daemonsets import DaemonSets
from netprobe.lab.controllers.deployments import Deployments
from netprobe.lab.controllers.endpoints import Endpoints
from netprobe.lab.controllers.garbage import GarbageCollector
from netprobe.lab.controllers.jobs import Jobs
from netprobe.lab.controllers.namespaces import Namespaces
from netprobe.lab.controllers.ownservice import OwnService
from netprobe.lab.controllers.replicasets import ReplicaSets
from netprobe.lab.controllers.statefulsets import StatefulSets
from netprobe.lab.controllers.taints import Taints


def controllers(operations: Operations, ca: str) -> list[Controller[Any]]:
    """All of them. `ca` is the PEM text that every namespace gets."""
    return [
        Namespaces(operations, ca),
        GarbageCollector(operations),
        Deployments(operations),
        ReplicaSets(operations),
        StatefulSets(operations),
        DaemonSets(operations),
        Jobs(operations),
        Endpoints(operations),
        Taints(operations),
        OwnService(operations),
    ]
