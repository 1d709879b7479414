"""A case: policies, and what they mean for the small world of world.py. Data only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from netprobe.conformance.world import DEFAULT, KUBELET, PASSING, Cell, CellScope, Expected, is_own
from netprobe.model.objects import ReadOnlyObject

Labels: TypeAlias = Mapping[str, Mapping[str, str]]
"""Labels on top of the usual ones: of a namespace ("y") or of a pod ("y/b")."""

Need: TypeAlias = Literal["sctp", "dual-stack", "two-nodes", "outside", "host-network", "kubelet"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of docs/semantics.md. `shown` is "packet" where a probe can tell, else what tells instead."""

    id: str
    section: str
    feature: str
    rule: str
    source: str
    shown: str

    @property
    def by_packets(self) -> bool:
        return self.shown == "packet"


@dataclass(frozen=True, slots=True)
class CaseStep:
    """What exists at one moment, and what it means.

    `policies` are NetworkPolicy objects with relative names and placeholders. `pods` maps pods beside the
    nine ("x/late") to their labels; they are made in this moment, after the policies. One of them that is
    there already, from an earlier moment, is deleted first where it is in `remade`, and deleted where it is
    not in `pods` any more. The namespace v is made before the policies, is there as long as it has pods, and
    may be `remade` as well. `holds` are connections that are opened before the change of this moment, and
    kept open until the moment is over.
    """

    policies: Sequence[ReadOnlyObject]
    expected: Expected
    labels: Labels = field(default_factory=dict)
    pods: Labels = field(default_factory=dict)
    remade: frozenset[str] = frozenset()
    holds: tuple[Cell, ...] = ()

    @property
    def passing(self) -> bool:
        """Whether the namespace v is there."""
        return any(pod.startswith(f"{PASSING}/") for pod in self.pods)

    def asked(self, asks: Iterable[Cell]) -> list[Cell]:
        """Those of the cells whose ends are there at this moment."""
        return [ask for ask in asks if self._has(ask.source) and self._has(ask.destination)]

    def _has(self, end: str) -> bool:
        pod = end.removeprefix(KUBELET)
        return not is_own(pod) or pod in self.pods


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a cluster does or does not do.

    `name` is a sentence, and unique. `rules` are the ids of the rules that it shows, the first of which gives
    its feature. `undefined` says why NetworkPolicy leaves the answer to the implementation: such a case is
    shown and not scored. `place` is "file:line".
    """

    name: str
    rules: tuple[str, ...]
    feature: str
    moments: tuple[CaseStep, ...]
    tags: frozenset[str] = frozenset()
    needs: tuple[Need, ...] = ()
    undefined: str | None = None
    question: CellScope = DEFAULT
    place: str = ""

    @property
    def words(self) -> frozenset[str]:
        """What it can be asked for by: its tags, its rules and its feature ("named-ports")."""
        return self.tags | {*self.rules, self.feature.lower().replace(" ", "-")}

    def denies(self) -> bool:
        """Whether any flow is expected to be denied at any moment."""
        asks: list[Cell] = list(self.question.asks())
        return any(not moment.expected(ask) for moment in self.moments for ask in moment.asked(asks))
