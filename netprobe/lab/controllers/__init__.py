"""The loops that make a cluster out of stored objects."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.access.tokens import Tokens
from netprobe.lab.api.operations import Operations
from netprobe.lab.clock import Clock
from netprobe.lab.controllers.base import Controller
from netprobe.lab.controllers.budgets import Budgets
from netprobe.lab.controllers.cronjobs import CronJobs
from netprobe.lab.controllers.daemonsets import DaemonSets
from netprobe.lab.controllers.deployments import Deployments
from netprobe.lab.controllers.endpoints import Endpoints
from netprobe.lab.controllers.garbage import GarbageCollector
from netprobe.lab.controllers.jobs import Jobs
from netprobe.lab.controllers.namespaces import Namespaces
from netprobe.lab.controllers.ownservice import OwnService
from netprobe.lab.controllers.quotas import Quotas
from netprobe.lab.controllers.replicasets import ReplicaSets
from netprobe.lab.controllers.replicationcontrollers import ReplicationControllers
from netprobe.lab.controllers.roles import AggregatedRoles
from netprobe.lab.controllers.statefulsets import StatefulSets
from netprobe.lab.controllers.taints import Taints
from netprobe.lab.controllers.tokens import AccountTokens


def controllers(operations: Operations, ca: str, clock: Clock, tokens: Tokens) -> list[Controller[Any]]:
    """All of them; `ca` is the PEM text that every namespace is given, `clock` what schedules go by."""
    return [
        Namespaces(operations, ca),
        GarbageCollector(operations),
        Deployments(operations),
        ReplicaSets(operations),
        ReplicationControllers(operations),
        StatefulSets(operations),
        DaemonSets(operations),
        Jobs(operations),
        CronJobs(operations, clock),
        Endpoints(operations),
        Budgets(operations),
        Quotas(operations),
        Taints(operations),
        AggregatedRoles(operations),
        OwnService(operations),
        AccountTokens(operations, tokens, ca),
    ]
