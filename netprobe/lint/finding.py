"""What lint says: one record a mistake, and the changes that would mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from netprobe.model.policy import Origin, Policy, PolicyRef

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the object's root: ("spec", "ingress", 0, "ports")."""


class Severity(Enum):
    """ERROR: wrong whatever was meant. WARNING: probably not what was meant. NOTE: worth a look."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Replace:
    """Put another scalar in place of the one at `path`."""

    path: Path
    value: str | int


@dataclass(frozen=True, slots=True)
class Rename:
    """Give the key at the end of `path` another name; its value stays."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class Append:
    """Add an item at the end of the list at `path`."""

    path: Path
    item: object


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the list item at `path` away."""

    path: Path


@dataclass(frozen=True, slots=True)
class Insert:
    """Add the key at the end of `path`, which its mapping does not have yet."""

    path: Path
    value: object


Change: TypeAlias = Replace | Rename | Append | Remove | Insert


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in one policy.

    `path` is the part of the object that is wrong, "" for all of it. `suggestion` says what to do in one
    sentence, or shows it. `changes` are given only where there is one right answer: `--fix` makes them.
    """

    rule: str
    severity: Severity
    subject: PolicyRef
    path: str
    message: str
    suggestion: str = ""
    changes: tuple[Change, ...] = ()
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @classmethod
    def about(
        cls,
        policy: Policy,
        rule: str,
        severity: Severity,
        path: str,
        message: str,
        *,
        suggestion: str = "",
        changes: tuple[Change, ...] = (),
    ) -> Finding:
        return cls(rule, severity, policy.ref, path, message, suggestion, changes, policy.origin)

    @property
    def file(self) -> str | None:
        """Where the policy was read; None for one that came from a cluster."""
        return (self.origin.file or None) if self.origin else None

    @property
    def position(self) -> tuple[int, int]:
        """Line and column, from 1, of the part that is wrong."""
        return self.origin.at(self.path) if self.origin else (1, 1)

    @property
    def place(self) -> str:
        """ "file:line:column", or the policy's name where it came from a cluster."""
        if self.file is None:
            return f"networkpolicy/{self.subject}"
        line, column = self.position
        return f"{self.file}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that an annotation silences, with the reason that it gives."""

    finding: Finding
    reason: str
