"""What the doctor says: one check a subject, each with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from netprobe.model.objects import Object
from netprobe.probe.permission import Permission, grant


class Status(Enum):
    """NOTE is worth knowing and counts for nothing; UNKNOWN could not be told."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One subject. `evidence` says what was seen; `hint` what to do, where something is to be done."""

    name: str
    status: Status
    evidence: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, in the order in which they are told.

    `user` is who the credentials stand for, None where the server does not say; `lacking` are permissions
    that a run in a namespace of its own needs and these credentials lack.
    """

    server: str
    checks: Sequence[Check]
    user: str | None = None
    lacking: Sequence[Permission] = ()

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def remedy(self) -> list[Object]:
        """What grants the missing permissions: a ClusterRole and its binding."""
        return grant(self.lacking, self.user or "NAME-OF-THE-USER", "netprobe-missing")

    @property
    def exit_status(self) -> int:
        """1 something is wrong, 3 something could not be told, else 0."""
        found = {check.status for check in self.checks}
        if Status.FAILED in found:
            return 1
        return 3 if Status.UNKNOWN in found else 0
