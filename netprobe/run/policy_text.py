"""The YAML of a policy, with the line of each path in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from netprobe.model.cluster import Cluster
from netprobe.model.policy import DEFAULT_TIER, Origin, Place, Policy, PolicyRef, Tier

HIDDEN = frozenset({"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"})
"""Fields of metadata that say nothing about a policy."""


@dataclass(frozen=True, slots=True)
class PolicyText:
    """`lines` as in the file, from the line number `first`; without a `file` they are of a live object."""

    lines: tuple[str, ...]
    first: int = 1
    file: str | None = None
    origin: Origin | None = None

    def block(self, path: str) -> tuple[int, int]:
        """The lines of a path, such as "spec.ingress[0].from[1]": from the first to before the last + 1."""
        if self.origin is None:
            return self.first, self.first
        start = self.origin.at(path)[0]
        indent = _indent(self.lines[start - self.first]) if self._has(start) else 0
        end = start + 1
        while self._has(end) and (
            not (line := self.lines[end - self.first]).strip() or _indent(line) > indent
        ):
            end += 1
        return start, end

    def _has(self, line: int) -> bool:
        return 0 <= line - self.first < len(self.lines)


@dataclass(frozen=True, slots=True)
class PolicyMark:
    """A policy that was in force. `place` is None without a file.

    `digest` differs if the policy does: its spec, its labels, or what its tier does.
    """

    kind: str
    name: str
    digest: str
    place: Place | None


@dataclass(frozen=True)
class PolicyTexts:
    """The policies of a cluster; their texts are read when they are needed."""

    cluster: Cluster = field(default_factory=Cluster)

    @cached_property
    def _origins(self) -> dict[PolicyRef, Origin]:
        return {p.ref: p.origin for p in self.cluster.policies if p.origin is not None and p.origin.line > 0}

    @cached_property
    def _tiers(self) -> dict[str, Tier]:
        return {tier.name: tier for tier in self.cluster.tiers}

    def every(self) -> Iterator[PolicyMark]:
        """All policies, in the order of their names."""
        for policy in sorted(self.cluster.policies, key=lambda one: (one.ref.kind, str(one.ref))):
            kind, name = policy.ref.kind, str(policy.ref)
            yield PolicyMark(kind, name, self._digest(policy), self.place(policy.ref, ""))

    def _digest(self, policy: Policy) -> str:
        source = self.cluster.sources.get((policy.ref.kind, str(policy.ref)))
        parts: list[object] = [repr(policy)]
        if source is not None:
            labels = source.object["metadata"].get("labels")
            parts = [source.object.get("spec"), *([labels] if labels else [])]
        if policy.tier != DEFAULT_TIER.name:
            parts.append(repr(self._tiers.get(policy.tier)))
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    def place(self, ref: PolicyRef, path: str) -> Place | None:
        """The place of a path in the policy's file."""
        origin = self._origins.get(ref)
        return origin.place(path) if origin is not None else None

    def text(self, ref: PolicyRef) -> PolicyText | None:
        """None if the policy is not known, or its file cannot be read any more."""
        origin = self._origins.get(ref)
        if origin is not None:
            return _of_file(origin)
        source = self.cluster.sources.get((ref.kind, str(ref)))
        return _of_object(source.object) if source is not None else None


def _of_file(origin: Origin) -> PolicyText | None:
    every = _lines(origin.file)
    last = max([origin.line, *(line for line, _ in origin.places.values())])
    if last > len(every):
        return None
    while last < len(every) and not every[last].startswith("---") and _indent(every[last]) > 0:
        last += 1
    return PolicyText(every[origin.line - 1 : last], origin.line, origin.file, origin)


@lru_cache(maxsize=64)
def _lines(file: str) -> tuple[str, ...]:
    try:
        return tuple(Path(file).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return ()


def _of_object(obj: Mapping[str, Any]) -> PolicyText:
    import yaml

    from netprobe.manifests.yaml_reader import read_yaml

    shown = {key: value for key, value in obj.items() if key != "status"}
    shown["metadata"] = {key: value for key, value in obj["metadata"].items() if key not in HIDDEN}
    text = str(yaml.dump(shown, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False))
    places = next(iter(read_yaml(text))).places
    return PolicyText(tuple(text.splitlines()), 1, None, Origin("", 1, places))


def _indent(line: str) -> int:
    bare = line.lstrip(" ")
    return len(line) - len(bare)
