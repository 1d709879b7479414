"""What the author meant: rows and a default. `resolve` makes a matrix of them, `crowded` one by crowds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netprobe.errors import Problem
from netprobe.model.flow import ContainerPort, External
from netprobe.model.verdict import Verdict
from netprobe.suite.ends import End
from netprobe.suite.ports import PortAsk


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `flows`; `ports` None means every port that the destination declares."""

    source: tuple[End, ...]
    destination: tuple[End, ...]
    ports: tuple[PortAsk, ...] | None
    verdict: Verdict
    place: str = ""  # file:line:column
    path: str = ""  # expect.flows[3]

    def problem(self, field_name: str, message: str) -> Problem:
        return Problem(self.place, f"{self.path}.{field_name}" if field_name else self.path, message)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected at one moment. `externals`: the hosts outside that `*` and the default mean, and
    the ports that they declare."""

    default: Verdict | None = None
    rows: tuple[Row, ...] = ()
    externals: Mapping[External, tuple[ContainerPort, ...]] = field(default_factory=dict)
