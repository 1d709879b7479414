"""What a graph is made of: the cells of a matrix by name, and the boxes and arrows that they become."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from netprobe.diff import Mismatch
from netprobe.model.flow import End, External, Family, PodRef, Protocol, ServiceRef
from netprobe.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Party:
    """An end of a flow by its name alone: all that a report knows. `namespace` None: outside the cluster."""

    namespace: str | None
    name: str
    service: bool = False

    @classmethod
    def of(cls, end: End) -> Party:
        match end:
            case PodRef(namespace, name):
                return cls(namespace, name)
            case ServiceRef(namespace, name):
                return cls(namespace, name, service=True)
            case External():
                return cls(None, str(end))

    @classmethod
    def parse(cls, text: str) -> Party:
        """As a report writes an end: "namespace/pod", "svc:namespace/service", or what is outside."""
        service = text.startswith("svc:")
        namespace, slash, name = text.removeprefix("svc:").partition("/")
        if not (namespace and slash and name):
            return cls(None, text)
        return cls(namespace, name, service)

    def __str__(self) -> str:
        if self.namespace is None:
            return self.name
        return f"{'svc:' if self.service else ''}{self.namespace}/{self.name}"


class View(Enum):
    """Which table the arrows are drawn from."""

    RESULT = "result"  # what was seen, else what the policies say; what differs is marked
    DECLARED = "declared"
    SIMULATED = "simulated"
    OBSERVED = "observed"


class Named(Enum):
    """How the suite came to declare a flow."""

    NOT = "not"  # not at all, or by its default
    WIDE = "wide"  # by a row with a pattern or labels
    EXACTLY = "exactly"  # by a row that names both ends


class Denied(Enum):
    """Which denied flows are drawn. What differs from the declaration always is."""

    ROWS = "rows"  # those that a row of the suite denies
    NAMED = "named"  # those that a row denies which names both ends
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Clause:
    """A policy's part in a decision: `path` is "spec.ingress[0].from[1]", `place` "file:line", if known."""

    policy: str
    path: str
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One side of a decision. Both empty: nothing isolates the end, or it is not known what does."""

    isolating: tuple[Clause, ...] = ()
    allowing: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class Why:
    """The two sides of a decision. `told`: all that has a say is there, and not only what decides."""

    egress: Part = Part()
    ingress: Part = Part()
    told: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One flow in all three tables; None where a table does not hold it.

    `note` says why a flow is unknown, undefined or skipped; `change` what would turn its verdict.
    """

    source: Party
    destination: Party
    port: int
    protocol: Protocol = Protocol.TCP
    family: Family | None = None
    declared: Verdict | None = None
    simulated: Verdict | None = None
    observed: Verdict | None = None
    differs: tuple[Mismatch, ...] = ()
    named: Named = Named.NOT
    why: Why | None = None
    note: str | None = None
    change: str | None = None

    def verdict(self, view: View) -> Verdict | None:
        match view:
            case View.DECLARED:
                return self.declared
            case View.SIMULATED:
                return self.simulated
            case View.OBSERVED:
                return self.observed
            case View.RESULT:
                return self.observed or self.simulated or self.declared

    def is_wrong(self, view: View) -> bool:
        """Whether the verdict drawn, or one behind it, is not the one that was expected."""
        match view:
            case View.DECLARED:
                return False
            case View.SIMULATED:
                return Mismatch.DECLARED_SIMULATED in self.differs
            case View.OBSERVED | View.RESULT:
                return bool(self.differs)


@dataclass(frozen=True, slots=True)
class Node:
    """A box: a pod, pods that behave alike, a Service, or a host outside (`namespace` None).

    `members` are the names behind it, at least one, and `count` is how many pods they are.
    """

    label: str
    namespace: str | None
    members: tuple[str, ...]
    count: int = 1
    service: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an arrow begins or ends: a node, else a whole namespace, else a crowd.

    A crowd is every pod but those of the namespaces in `but`, and with `outside` all hosts outside too.
    """

    node: int | None = None
    frame: str | None = None
    but: tuple[str, ...] = ()
    outside: bool = False

    @property
    def is_crowd(self) -> bool:
        return self.node is None and self.frame is None


@dataclass(frozen=True, slots=True)
class Kind:
    """What arrows must share to be drawn as one: `ports` is their label.

    `wrong` is "" where all is as expected, else what was, as in "declared deny".
    """

    verdict: Verdict
    ports: tuple[str, ...]
    wrong: str = ""

    @property
    def text(self) -> str:
        """ "80, 443", "9187 (declared deny)", "80 unknown"."""
        shown = self.ports if len(self.ports) <= MOST_PORTS else self.ports[: MOST_PORTS - 1]
        text = ", ".join(shown)
        if len(shown) < len(self.ports):
            text += f" and {len(self.ports) - len(shown)} more"
        if self.verdict is Verdict.UNKNOWN:
            text += " unknown"
        return f"{text} ({self.wrong})" if self.wrong else text


MOST_PORTS = 6


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow: every flow from any of `source` to any of `target`, on all ports of its kind."""

    source: Spot
    target: Spot
    kind: Kind


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph in the order in which it is to be written.

    `cells` holds the flows between two nodes, by their indexes, those that no arrow stands for among them:
    they are what a page tells about a pair. `notes` are sentences about what is left out.
    """

    title: str
    view: View
    frames: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cells: dict[tuple[int, int], tuple[Cell, ...]]
    notes: tuple[str, ...] = ()

    def crowds(self) -> list[Spot]:
        """Those that an arrow begins at, in order."""
        return list(dict.fromkeys(edge.source for edge in self.edges if edge.source.is_crowd))

    def inside(self, frame: str | None) -> list[int]:
        """The nodes of a namespace, or those outside."""
        return [index for index, node in enumerate(self.nodes) if node.namespace == frame]
