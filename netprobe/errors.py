"""Every exception that netprobe raises on purpose, and the exit status that each one means.

NetprobeError                 3   could not tell
├── InputError                2   what the user gave cannot be read; carries every problem at once
├── UsageError                2   options that do not go together
├── UnknownVerdictError       3   a yes or no was asked for, and the verdict is unknown
├── ClusterError              3   the API refused or did not answer
│   ├── ForbiddenError        3   a permission is missing
│   ├── NotFoundError         3   the object does not exist
│   ├── ConflictError         3   something that the run needs belongs to others
│   └── UnreachableError      3   no answer within the deadline
├── WorkbenchError            3   a pod of the run never became usable
├── KindError                 3   docker or kind is missing, or failed
└── LabError                  3   the lab cannot start, or is gone
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class NetprobeError(Exception):
    """Base of all; its text is one sentence that a user can act on."""

    exit_status = 3


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with an input: its place, the path inside the object, and what is wrong.

    `place` is "file", "file:line" or "file:line:column"; `path` is "" for the whole object,
    else as in "spec.ingress[0].from[1]".
    """

    place: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.path, self.message) if part)


class InputError(NetprobeError):
    """An input that cannot be read or understood: all its problems, in the order of the text."""

    exit_status = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(NetprobeError):
    """Options that contradict each other, or name something that does not exist."""

    exit_status = 2


class UnknownVerdictError(NetprobeError):
    """Neither yes nor no: the text says why the verdict is unknown."""


class ClusterError(NetprobeError):
    """The cluster's API refused, failed or was silent."""


class ForbiddenError(ClusterError):
    """The credentials lack a permission; the text names verb, resource and namespace."""


class NotFoundError(ClusterError):
    """The requested object does not exist."""


class NotServedError(NotFoundError):
    """The cluster does not have this kind."""


class ConflictError(ClusterError):
    """Something that the run needs belongs to others; the text names the owner."""


class UnreachableError(ClusterError):
    """The API server did not answer within the deadline."""


class WorkbenchError(NetprobeError):
    """A pod of the run never became usable; the text says which one and what its status says."""


class KindError(NetprobeError):
    """docker, kind or the kind cluster failed; the text says what to do."""


class LabError(NetprobeError):
    """The lab cannot start on this machine, or is not running."""
