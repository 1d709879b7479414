"""Generated policies and proposed declarations as YAML text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import yaml

from netprobe.generate.policies import GeneratedPolicy
from netprobe.generate.propose import ProposedRow
from netprobe.model.flow import Protocol
from netprobe.model.text import plain
from netprobe.policies.networkpolicy import dump_policy

MARK = "# Written by netprobe generate from "
WIDTH = 100
MOST_ROWS = 40  # in a comment


def manifest(made: GeneratedPolicy, rows: Sequence[str], origin: str) -> str:
    """One policy as YAML, after a comment with its purpose and the rows that it serves."""
    served = [rows[number] if number is not None else "what the default allows" for number in made.rows]
    lines = [f"{MARK}{origin}.", f"# {made.purpose}"]
    lines += [f"#   {row}" for row in served[:MOST_ROWS]]
    if len(served) > MOST_ROWS:
        lines.append(f"#   and {len(served) - MOST_ROWS} more rows")
    return "\n".join([*lines, *block_lines(_without_empty(dump_policy(made.policy)))]) + "\n"


def _without_empty(policy: dict[str, Any]) -> dict[str, Any]:
    """Without empty lists of rules: policyTypes names the directions."""
    spec = {key: value for key, value in policy["spec"].items() if value != []}
    return {**policy, "spec": spec}


def block_lines(value: object, indent: int = 0) -> Iterator[str]:
    """The lines of a mapping or a list. One that contains only scalars is written on one line if it fits.

    PyYAML's own dumper takes ten times as long, which matters with thousands of policies.
    """
    items = value.items() if isinstance(value, dict) else [(None, item) for item in _as_list(value)]
    for key, item in items:
        head = " " * indent + ("- " if key is None else f"{_scalar(key)}:")
        short = _flow(item)
        if short is not None and len(head) + len(short) < WIDTH:
            yield head.rstrip() + " " + short
        elif key is None:
            first, *rest = block_lines(item, indent + 2)
            yield head + first.lstrip()
            yield from rest
        else:
            yield head
            yield from block_lines(item, indent + 2)


def _flow(value: object) -> str | None:
    """A scalar, or a list or mapping of scalars, on one line."""
    if isinstance(value, dict):
        if any(isinstance(item, dict | list) for item in value.values()):
            return None
        return "{" + ", ".join(f"{_scalar(key)}: {_scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            return None
        return "[" + ", ".join(map(_scalar, value)) + "]"
    return _scalar(value)


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=None, typed=True)  # 1 and True are equal
def _scalar(value: object) -> str:
    """With quotes if YAML would read it as something else."""
    text: str = yaml.dump([value], Dumper=yaml.CSafeDumper, default_flow_style=True, width=1 << 20)
    return text.strip().removeprefix("[").removesuffix("]")


def file_name(made: GeneratedPolicy) -> str:
    return f"{made.policy.ref.namespace}-{made.policy.ref.name}.yaml"


def comments(warnings: Iterable[str]) -> str:
    """What qualifies a proposal, as lines of YAML."""
    return "".join(f"# warning: {plain(warning)}\n" for warning in warnings)


def declaration(rows: Iterable[ProposedRow], name: str, warnings: Iterable[str] = ()) -> str:
    """A suite without a topology, one row a line."""
    head = (
        "# Proposed by netprobe generate --from-cluster: all that the policies allow today, wanted or not.\n"
        "# Remove the rows that should not be allowed; netprobe simulate then shows the difference.\n"
        f"{comments(warnings)}"
        "apiVersion: netprobe/v1alpha1\n"
        "kind: ConnectivitySuite\n"
        f"metadata: {{name: {name}}}\n"
        "expect:\n"
        "  default: deny\n"
    )
    lines = [f"    - {row_text(row)}\n" for row in rows]
    return head + ("  flows:\n" + "".join(lines) if lines else "")


def row_text(row: ProposedRow) -> str:
    fields: dict[str, Any] = {"from": _one(row.sources), "to": _one(row.destinations)}
    if row.ports is not None:
        fields["port"] = _one([_port(*port) for port in row.ports])
    fields["verdict"] = "allow"
    text: str = yaml.safe_dump(fields, sort_keys=False, default_flow_style=True, width=1 << 20)
    return text.strip()


def _one(values: Iterable[Any]) -> Any:
    items = list(values)
    return items[0] if len(items) == 1 else items


def _port(number: int, protocol: Protocol) -> int | str:
    return number if protocol is Protocol.TCP else f"{number}/{protocol.value}"
