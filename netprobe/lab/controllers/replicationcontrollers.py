"""ReplicationControllers: what ReplicaSets were called, with a selector that is a map."""

from __future__ import annotations

from netprobe.lab.api.resources import REPLICATION_CONTROLLERS
from netprobe.lab.controllers.replicasets import ReplicaSets


class ReplicationControllers(ReplicaSets):
    """Makes missing pods, deletes those too many."""

    resource = REPLICATION_CONTROLLERS
