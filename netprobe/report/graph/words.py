"""Words that every format uses."""

from __future__ import annotations

from netprobe.report.graph.record import Graph, Node, Spot, View

MOST_NAMED = 3
OUTSIDE = "outside the cluster"
VIEWS = {
    View.RESULT: "what was seen, else what the policies say",
    View.DECLARED: "what is declared",
    View.SIMULATED: "what the policies say",
    View.OBSERVED: "what was seen",
}


def visible(text: str) -> str:
    """One line without anything that acts: control characters and direction marks become a replacement."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def title_of(node: Node) -> str:
    """ "web", "web (3 pods)", "Service cart"."""
    if node.service:
        return f"Service {node.label}"
    counted = node.count > 1 and not node.label.endswith("pods")
    return f"{node.label} ({node.count:,} pods)" if counted else node.label


def crowd_name(spot: Spot) -> str:
    """ "every pod", "everybody, but not production", "every pod, but not a, b, c and 2 more"."""
    name = "everybody" if spot.outside else "every pod"
    if not spot.but:
        return name
    more = f" and {len(spot.but) - MOST_NAMED} more" if len(spot.but) > MOST_NAMED else ""
    return f"{name}, but not {', '.join(spot.but[:MOST_NAMED])}{more}"


def full_name(graph: Graph, spot: Spot) -> str:
    """ "backend/api", "every pod of backend", "every pod"."""
    if spot.node is None:
        return crowd_name(spot) if spot.frame is None else f"every pod of {spot.frame}"
    node = graph.nodes[spot.node]
    if node.namespace is None or node.service:
        return title_of(node)
    return f"{node.namespace}/{title_of(node)}"
