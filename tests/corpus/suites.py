"""Moments of the corpus as one suite file: the nine pods, and a step for each moment after the first.

For clusters that send packets. A moment that names pods' addresses cannot be told there, since a cluster
gives them out itself; SCTP is left out, since few kernels speak it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.corpus.world import PORTS, Ask, Labels, Moment, asks

_POD_ADDRESS = re.compile(r"10\.244\.")


def tellable(moment: Moment) -> bool:
    """Whether the moment means the same on pods with other addresses, and stays in their namespaces."""
    inside = all(policy["metadata"]["namespace"] in {"x", "y", "z"} for policy in moment.policies)
    return inside and not _POD_ADDRESS.search(json.dumps(moment.policies))


def told() -> list[Ask]:
    """The flows of such a suite."""
    return [ask for ask in asks() if not ask.port.endswith("SCTP")]


def write(folder: Path, moments: Sequence[Moment]) -> Path:
    """Write the suite and its policies into `folder`; the path of the suite.

    Policies are named after their moment, so that no step overwrites what the next one deletes.
    """
    first, *rest = moments
    suite = {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ConnectivitySuite",
        "metadata": {"name": "corpus"},
        "topology": {"namespaces": [_namespace(name, first.labels) for name in "xyz"]},
        "policies": [_policies(folder, 0, first)] if first.policies else [],
        "expect": _expectation(first),
        "steps": [
            {
                "name": f"moment {number}",
                "do": list(_actions(folder, number, before, now)),
                "expect": _expectation(now),
            }
            for number, (before, now) in enumerate(zip(moments, rest, strict=False), 1)
        ],
    }
    path = folder / "suite.yaml"
    path.write_text(json.dumps(suite))
    return path


def _expectation(moment: Moment) -> dict[str, Any]:
    """Everything passes but for one row a denied flow."""
    denied = [ask for ask in told() if not moment.expected(ask)]
    rows = [
        {"from": ask.source, "to": ask.destination, "port": ask.port, "verdict": "deny"} for ask in denied
    ]
    return {"default": "allow", "flows": rows}


def _namespace(name: str, extra: Labels) -> dict[str, Any]:
    ports = [
        {"port": int(number), "protocol": protocol, "name": f"serve-{number}-{protocol.lower()}"}
        for number, protocol in (port.split("/") for port in PORTS)
        if protocol != "SCTP"
    ]
    pods: list[dict[str, Any]] = [
        {"name": pod, "labels": {"pod": pod, **dict(extra.get(f"{name}/{pod}", {}))}, "ports": ports}
        for pod in "abc"
    ]
    return {"name": name, "labels": {"ns": name, **extra.get(name, {})}, "pods": pods}


def _actions(folder: Path, number: int, before: Moment, now: Moment) -> Iterator[dict[str, Any]]:
    """From one moment to the next: old policies away, labels changed, new policies applied."""
    for policy in before.policies:
        metadata = policy["metadata"]
        yield {"delete": {"networkpolicy": f"{metadata['namespace']}/{_name(number - 1, metadata['name'])}"}}
    for ref in sorted({*before.labels, *now.labels}):
        changes: dict[str, str | None] = dict.fromkeys(before.labels.get(ref, {}))
        changes.update(now.labels.get(ref, {}))
        kind = "pod" if "/" in ref else "namespace"
        yield {"label": {kind: ref, "set": changes}}
    if now.policies:
        yield {"apply": [_policies(folder, number, now)]}


def _policies(folder: Path, number: int, moment: Moment) -> str:
    """The policies of a moment as a file of its own; its name."""
    items = [
        {**policy, "metadata": {**policy["metadata"], "name": _name(number, policy["metadata"]["name"])}}
        for policy in moment.policies
    ]
    name = f"moment-{number}.json"
    (folder / name).write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return name


def _name(number: int, policy: str) -> str:
    return f"m{number}-{policy}"
