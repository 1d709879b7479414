"""What `netprobe generate` writes: policies with the rows that they serve, and proposed declarations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from netprobe.errors import NetprobeError, UsageError
from netprobe.generate import Made, Proposed
from netprobe.model.flow import Protocol
from netprobe.policies.networkpolicy import dump_policy
from netprobe.report import save

MARK = "# Written by netprobe generate from "
READ = frozenset({".yaml", ".yml", ".json"})  # what a suite, and kubectl, take from a folder
WIDTH = 100
MOST_ROWS = 40  # a comment that lists more is not read


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def manifest(made: Made, rows: Sequence[str], origin: str) -> str:
    """One policy as YAML, below a comment that says what it is for and which rows it serves."""
    served = [rows[number] if number is not None else "what the default allows" for number in made.rows]
    lines = [f"{MARK}{origin}.", f"# {made.purpose}"]
    lines += [f"#   {row}" for row in served[:MOST_ROWS]]
    if len(served) > MOST_ROWS:
        lines.append(f"#   and {len(served) - MOST_ROWS} rows more")
    return "\n".join([*lines, *_block(_without_empty(dump_policy(made.policy)))]) + "\n"


def _without_empty(policy: dict[str, Any]) -> dict[str, Any]:
    """Where policyTypes names a direction, a list without rules says nothing more."""
    spec = {key: value for key, value in policy["spec"].items() if value != []}
    return {**policy, "spec": spec}


def _block(value: object, indent: int = 0) -> Iterator[str]:
    """The lines of a mapping or a list, as a person would write them: what holds no further lists or mappings
    stands on one line where there is room.

    The library's own dumper takes ten times as long, which shows where there are thousands of policies.
    """
    items = value.items() if isinstance(value, dict) else [(None, item) for item in _listed(value)]
    for key, item in items:
        head = " " * indent + ("- " if key is None else f"{_scalar(key)}:")
        short = _flow(item)
        if short is not None and len(head) + len(short) < WIDTH:
            yield head.rstrip() + " " + short
        elif key is None:
            first, *rest = _block(item, indent + 2)
            yield head + first.lstrip()
            yield from rest
        else:
            yield head
            yield from _block(item, indent + 2)


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


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=None, typed=True)  # 1 and True are equal
def _scalar(value: object) -> str:
    """With quotes where YAML would take it for something else."""
    text: str = yaml.dump([value], Dumper=yaml.CSafeDumper, default_flow_style=True, width=1 << 20)
    return text.strip().removeprefix("[").removesuffix("]")


def file_name(made: Made) -> str:
    return f"{made.policy.ref.namespace}-{made.policy.ref.name}.yaml"


def save_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files into a folder, and remove those of an earlier generation that are no longer needed.

    UsageError where a file is in the way that generate has not written; nothing is changed then.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file; -o names a folder for the policies")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = {path.name: path for path in sorted(folder.iterdir()) if path.suffix in READ}
        foreign = [path for path in present.values() if not path.read_bytes().startswith(MARK.encode())]
        if foreign:
            raise UsageError(
                f"{foreign[0]} was not written by netprobe generate: it would be applied with the rest. "
                "Choose another folder"
            )
        for name, text in texts.items():
            save(folder / name, [text])
        for name, path in present.items():
            if name not in texts:
                path.unlink()
    except OSError as error:
        raise NetprobeError(f"cannot write {error.filename or folder}: {error.strerror}") from error


def declaration(rows: Iterable[Proposed], name: str) -> str:
    """A suite without a topology, one row a line."""
    head = (
        "# Proposed by netprobe generate --from-cluster: what the policies allow today, which need not be\n"
        "# what anybody means. Take out what should not be, and let netprobe simulate show the difference.\n"
        "apiVersion: netprobe/v1alpha1\n"
        "kind: ConnectivitySuite\n"
        f"metadata: {{name: {name}}}\n"
        "expect:\n"
        "  default: deny\n"
    )
    lines = [f"    - {_row(row)}\n" for row in rows]
    return head + ("  flows:\n" + "".join(lines) if lines else "")


def _row(row: Proposed) -> str:
    told: dict[str, Any] = {"from": _one(row.sources), "to": _one(row.destinations)}
    if row.ports is not None:
        told["port"] = _one([_port(*port) for port in row.ports])
    told["verdict"] = "allow"
    text: str = yaml.dump(told, Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=1 << 20)
    return text.strip()


def _one(values: Iterable[Any]) -> Any:
    items = list(values)
    return items[0] if len(items) == 1 else items


def _port(number: int, protocol: Protocol) -> int | str:
    return number if protocol is Protocol.TCP else f"{number}/{protocol.value}"
