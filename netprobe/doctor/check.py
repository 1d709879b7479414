"""What the doctor reports: one check for each subject, with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from netprobe.model.objects import Object
from netprobe.probe.permission import Permission, grant


class CheckStatus(Enum):
    """NOTE does not count as a problem; UNKNOWN: could not be found out."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One subject. `evidence` says what was seen; `hint` what to do about a problem."""

    name: str
    status: CheckStatus
    evidence: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, in the order in which they are reported.

    `user` is the user of the credentials, None if the server does not say; `lacking` are permissions that
    a run in namespaces of its own needs and these credentials lack.
    """

    server: str
    checks: Sequence[Check]
    user: str | None = None
    lacking: Sequence[Permission] = ()

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def remedy(self) -> list[Object]:
        """A ClusterRole and its binding that grant the missing permissions."""
        return grant(self.lacking, self.user or "NAME-OF-THE-USER", "netprobe-missing")

    @property
    def exit_status(self) -> int:
        """1: something is wrong. 3: something could not be found out. Else 0."""
        found = {check.status for check in self.checks}
        if CheckStatus.FAILED in found:
            return 1
        return 3 if CheckStatus.UNKNOWN in found else 0
