"""A declared matrix by crowds: what it says of ends that it does not tell apart is said once.

The same matrix as a `Matrix[Verdict]`, without its flows being listed: a thousand pods have a million pairs,
and a declaration speaks of few of them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.model.flow import End, Flow, Protocol
from netprobe.model.verdict import Verdict

Crowd: TypeAlias = tuple[End, ...]
"""Ends with the same flows, declared alike: pods of one namespace, one address outside, or one Service."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a column on which one row has the last word; `row` None: the default.

    `sources` are crowds, as bits. The bit of the destination's own crowd stands for its members among each
    other, and for nothing where it has one member.
    """

    row: int | None
    verdict: Verdict
    sources: int


@dataclass(frozen=True, slots=True)
class Column:
    """Everybody's flows to one crowd on one port. A source that no share holds is not declared."""

    destination: int
    port: int
    protocol: Protocol
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """All that is declared. Crowds of a namespace stand side by side, those of Services last.

    `itself` has the ways of pods to themselves, with their verdicts and rows: few are ever declared.
    """

    crowds: tuple[Crowd, ...]
    columns: tuple[Column, ...]
    itself: Mapping[Flow, Share] = field(default_factory=dict)
