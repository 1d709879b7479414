"""What lint reports: one record per mistake, with the fix if only one is possible."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from netprobe.manifests.change import Operation, Patch
from netprobe.manifests.suggestion import SideEffects
from netprobe.model.policy import Origin, Policy, PolicyRef


class Severity(Enum):
    """ERROR: certainly wrong. WARNING: probably not what the author wants. NOTE: worth a look."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in one policy.

    `path` is the part of the object that is wrong, "" for all of it. `suggestion` says in one sentence what
    to do. `fix` is the same as JSON Patch operations, for `--fix`; only if there is one right answer.
    `effects` is what it opens and closes, if that has been worked out. `rule` is the id of the rule, which
    `LintRule.check` fills in.
    """

    subject: PolicyRef
    path: str
    message: str
    suggestion: str = ""
    severity: Severity = Severity.WARNING
    fix: tuple[Operation, ...] = ()
    origin: Origin | None = field(default=None, compare=False, repr=False)
    effects: SideEffects | None = field(default=None, compare=False, repr=False)
    rule: str = ""

    @classmethod
    def about(
        cls,
        policy: Policy,
        path: str,
        message: str,
        *,
        suggestion: str = "",
        severity: Severity = Severity.WARNING,
        fix: tuple[Operation, ...] = (),
    ) -> Finding:
        return cls(policy.ref, path, message, suggestion, severity, fix, policy.origin)

    @property
    def patch(self) -> Patch:
        """What `--fix` does to the policy."""
        return Patch(self.subject.kind, str(self.subject), self.fix, self.origin)

    @property
    def file(self) -> str | None:
        """The file of the policy; None for one of a live cluster."""
        return (self.origin.file or None) if self.origin else None

    @property
    def position(self) -> tuple[int, int]:
        """Line and column, from 1, of the part that is wrong."""
        return self.origin.at(self.path) if self.origin else (1, 1)

    @property
    def full_name(self) -> str:
        """ "networkpolicy/shop/web", as kubectl takes it."""
        return f"{self.subject.kind.lower()}/{self.subject}"

    @property
    def place(self) -> str:
        """ "file:line:column", or the policy's name for one of a live cluster."""
        if self.file is None:
            return self.full_name
        line, column = self.position
        return f"{self.file}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that an annotation silences, with the reason given there."""

    finding: Finding
    reason: str
