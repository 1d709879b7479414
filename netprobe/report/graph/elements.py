"""What a graph is made of: flows by the names of their ends, and the boxes and arrows that they become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from netprobe.diff import Mismatch
from netprobe.model.flow import End, External, Family, PodRef, Protocol, ServiceRef
from netprobe.model.text import listed
from netprobe.model.verdict import Side, Verdict
from netprobe.run.policy_text import PolicyTexts

MOST_PORTS = 6
"""Ports in the label of an arrow."""


class EndName(NamedTuple):
    """An end of a flow by its name, which is all that a saved report knows. Outside the cluster the
    namespace is None."""

    namespace: str | None
    name: str
    service: bool = False

    @classmethod
    def of(cls, end: End) -> EndName:
        match end:
            case PodRef(namespace, name):
                return cls(namespace, name)
            case ServiceRef(namespace, name):
                return cls(namespace, name, service=True)
            case External():
                return cls(None, str(end))

    @classmethod
    def parse(cls, text: str) -> EndName:
        """As reports write ends: "namespace/pod", "svc:namespace/service", or the name of a host outside."""
        service = text.startswith("svc:")
        namespace, slash, name = text.removeprefix("svc:").partition("/")
        if not (namespace and slash and name):
            return cls(None, text)
        return cls(namespace, name, service)

    def __str__(self) -> str:
        if self.namespace is None:
            return self.name
        return f"{'svc:' if self.service else ''}{self.namespace}/{self.name}"


class DrawnTable(Enum):
    RESULT = "result"  # observed, or simulated if nothing was observed; differences are marked
    DECLARED = "declared"
    SIMULATED = "simulated"
    OBSERVED = "observed"


class Denied(Enum):
    """Which denied flows are drawn. Flows that are not as expected are always drawn."""

    ROWS = "rows"  # denied by any row of the suite
    NAMED = "named"  # denied by a row that names both ends
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class GraphCell:
    """One port between two ends with its verdict in each table; None for a table that does not have it.

    `declared_by` is "row" (names both ends), "pattern", "default" or None. `sides`: the source's egress and
    the destination's ingress if the reasons are known; unless `complete`, only with what decides. `note` says
    why the flow is unknown, undefined or skipped. `change` is a sentence with the smallest change that flips
    the verdict.
    """

    port: int
    protocol: Protocol = Protocol.TCP
    family: Family | None = None
    declared: Verdict | None = None
    simulated: Verdict | None = None
    observed: Verdict | None = None
    mismatches: tuple[Mismatch, ...] = ()
    declared_by: str | None = None
    sides: tuple[Side, Side] | None = None
    complete: bool = True
    note: str | None = None
    change: str | None = None

    def verdict(self, view: DrawnTable) -> Verdict | None:
        match view:
            case DrawnTable.DECLARED:
                return self.declared
            case DrawnTable.SIMULATED:
                return self.simulated
            case DrawnTable.OBSERVED:
                return self.observed
            case DrawnTable.RESULT:
                return self.observed or self.simulated or self.declared

    def is_unexpected(self, view: DrawnTable) -> bool:
        """Whether the verdict in this view differs from what was expected."""
        match view:
            case DrawnTable.DECLARED:
                return False
            case DrawnTable.SIMULATED:
                return Mismatch.DECLARED_SIMULATED in self.mismatches
            case DrawnTable.OBSERVED | DrawnTable.RESULT:
                return bool(self.mismatches)

    def port_text(self, families: bool) -> str:
        """ "5432" or "53/UDP"; with `families`, which tells IPv4 from IPv6, "80 IPv6"."""
        text = str(self.port) if self.protocol is Protocol.TCP else f"{self.port}/{self.protocol.value}"
        return f"{text} IPv{self.family}" if families and self.family else text


Cells: TypeAlias = tuple[GraphCell, ...]

Pairs: TypeAlias = Mapping[tuple[EndName, EndName], Cells]
"""The cells between two ends. Pairs with equal cells may share one tuple, which saves time and space."""


def by_pair(flows: Iterable[tuple[EndName, EndName, GraphCell]]) -> Pairs:
    """Cells grouped with their ends."""
    found: dict[tuple[EndName, EndName], list[GraphCell]] = {}
    for source, destination, cell in flows:
        found.setdefault((source, destination), []).append(cell)
    return {pair: tuple(cells) for pair, cells in found.items()}


def distinct(cells: Iterable[Cells]) -> Iterable[Cells]:
    """Each tuple once, by identity."""
    return {id(some): some for some in cells}.values()


@dataclass(frozen=True, slots=True)
class Node:
    """A box: a pod, pods that behave alike, a Service, or a host outside (`namespace` None).

    `members` are the names of the ends in it, at least one.
    """

    label: str
    namespace: str | None
    members: tuple[str, ...]
    service: bool = False

    @property
    def title(self) -> str:
        """ "web", "web (3 pods)", "Service cart"."""
        if self.service:
            return f"Service {self.label}"
        counted = len(self.members) > 1 and not self.label.endswith("pods")
        return f"{self.label} ({len(self.members):,} pods)" if counted else self.label


class Anchor(NamedTuple):
    """Where an arrow starts or ends: a node, else a whole namespace, else everyone.

    Everyone is every pod except those of the namespaces in `excluded`; with `outside`, also every host
    outside the cluster.
    """

    node: int | None = None
    namespace: str | None = None
    excluded: tuple[str, ...] = ()
    outside: bool = False

    @property
    def is_everyone(self) -> bool:
        return self.node is None and self.namespace is None

    @property
    def everyone(self) -> str:
        """ "every pod", "everyone except production", "every pod except a, b, c and 2 more"."""
        name = "everyone" if self.outside else "every pod"
        return f"{name} except {listed(self.excluded)}" if self.excluded else name


class ArrowLabel(NamedTuple):
    """What an arrow says. Flows between the same ends whose labels differ only in ports share an arrow.

    `unexpected` is "", or what was expected instead, such as "declared deny".
    """

    verdict: Verdict
    ports: tuple[str, ...]
    unexpected: str = ""

    @property
    def text(self) -> str:
        """ "80, 443", "9187 (declared deny)", "80 unknown"."""
        text = listed(self.ports, MOST_PORTS - 1) if len(self.ports) > MOST_PORTS else ", ".join(self.ports)
        if self.verdict is Verdict.UNKNOWN:
            text += " unknown"
        return f"{text} ({self.unexpected})" if self.unexpected else text

    @property
    def full(self) -> str:
        """ "80, 443 allowed", "9187 denied (declared deny)"."""
        word = {Verdict.ALLOW: "allowed", Verdict.DENY: "denied", Verdict.UNKNOWN: "unknown"}[self.verdict]
        return f"{', '.join(self.ports)} {word}{f' ({self.unexpected})' if self.unexpected else ''}"

    @property
    def css(self) -> str:
        """Its CSS classes in a drawing."""
        return f"{self.verdict.value} unexpected" if self.unexpected else self.verdict.value


class Edge(NamedTuple):
    """An arrow: every flow from any end of `source` to any end of `target` on the ports of the label."""

    source: Anchor
    target: Anchor
    label: ArrowLabel


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes, arrows and namespaces in the order in which they are written.

    `cells` has all flows between two nodes, by the nodes' indexes, drawn or not: pages show them on a click.
    `notes` are sentences about what is simplified or left out, `warnings` about what qualifies the answer.
    `texts` knows the files of policies.
    """

    title: str
    view: DrawnTable
    namespaces: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cells: Mapping[tuple[int, int], Cells]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    texts: PolicyTexts = field(default_factory=PolicyTexts, compare=False, repr=False)

    def everyone_anchors(self) -> list[Anchor]:
        """The different "everyone" that arrows start at, in order."""
        return list(dict.fromkeys(edge.source for edge in self.edges if edge.source.is_everyone))

    def nodes_in(self, namespace: str | None) -> list[int]:
        """The nodes of a namespace; for None, the hosts outside."""
        return [index for index, node in enumerate(self.nodes) if node.namespace == namespace]

    def nodes_of(self, anchor: Anchor) -> list[int]:
        """The nodes that an end of an arrow represents."""
        if anchor.node is not None:
            return [anchor.node]
        if anchor.namespace is not None:
            return self.nodes_in(anchor.namespace)
        inside = [i for i, node in enumerate(self.nodes) if node.namespace not in {None, *anchor.excluded}]
        return inside + (self.nodes_in(None) if anchor.outside else [])

    def name(self, anchor: Anchor) -> str:
        """ "backend/api", "every pod of backend", "everyone"."""
        if anchor.node is None:
            return anchor.everyone if anchor.namespace is None else f"every pod of {anchor.namespace}"
        node = self.nodes[anchor.node]
        return node.title if node.namespace is None or node.service else f"{node.namespace}/{node.title}"

    def has_both_families(self) -> bool:
        return {4, 6} <= {cell.family for cells in distinct(self.cells.values()) for cell in cells}
