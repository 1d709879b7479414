"""What the author of a suite expects at one moment: rows, from coarse to fine, and a default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netprobe.errors import Problem
from netprobe.model.flow import ContainerPort, External
from netprobe.model.verdict import Verdict
from netprobe.suite.ends import EndPattern, PortPattern


@dataclass(frozen=True, slots=True)
class ExpectationRow:
    """An entry of `expect.flows`; `ports` None means every port that the destination declares.

    `place` is FILE:LINE:COLUMN, `path` is as in "expect.flows[3]".
    """

    source: tuple[EndPattern, ...]
    destination: tuple[EndPattern, ...]
    ports: tuple[PortPattern, ...] | None
    verdict: Verdict
    place: str = ""
    path: str = ""

    @property
    def names_both_ends(self) -> bool:
        """Whether neither end is a pattern of globs or labels."""
        return not any(set(end.text) & set("*?=") for end in (*self.source, *self.destination))

    def problem(self, field_name: str, message: str) -> Problem:
        return Problem(self.place, f"{self.path}.{field_name}" if field_name else self.path, message)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Rows and a default.

    `externals`: the hosts outside that `*` and the default include, with the ports that they declare.
    """

    default: Verdict | None = None
    rows: tuple[ExpectationRow, ...] = ()
    externals: Mapping[External, tuple[ContainerPort, ...]] = field(default_factory=dict)
