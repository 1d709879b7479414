"""What is asked, and what reading found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from netprobe.debug.evidence import Evidence
from netprobe.debug.facts import Facts
from netprobe.model.flow import Protocol
from netprobe.run.options import RunOptions


@dataclass(frozen=True, slots=True)
class Request:
    """What to find out, and how. `probe` False: only read. `ephemeral`: send from the real pod.

    `say` is told what cannot be undone, before it is done.
    """

    source: str
    destination: str
    port: int | None = None
    protocol: Protocol | None = None
    probe: bool = True
    ephemeral: bool = False
    disturb: bool = False
    options: RunOptions = field(default_factory=RunOptions)
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Read:
    """What reading found: the evidence without packets, and the facts with the source's pod."""

    evidence: Evidence
    facts: Facts
