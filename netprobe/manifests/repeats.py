"""Objects that were read before under the same kind and name.

Files of a GitOps folder repeat their Namespace, and two dumps of a cluster overlap: an identical object
counts once. One that differs is another variant, as in a base and an overlay, and no cluster has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from netprobe.errors import Problem
from netprobe.manifests.document import Document
from netprobe.manifests.excerpt import LazyPlaces, TextError
from netprobe.manifests.yaml_reader import read_yaml
from netprobe.model.policy import Origin

_BOOKKEEPING = frozenset(("resourceVersion", "managedFields", "generation", "selfLink"))
"""Fields of `metadata` that differ between two dumps of one object."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """An object of a kind and name that was read before, at `first`."""

    document: Document
    first: Origin
    name: str
    identical: bool

    @property
    def problem(self) -> Problem:
        """Both places, and what to pass instead."""
        message = f"{self.document.kind} {self.name} is already at {self.first}, with different content; "
        one, other = (str(PurePath(origin.file).parent) for origin in (self.first, self.document.origin))
        message += (
            "give one of them another name"
            if one == other
            else f"these look like two variants: pass only one of the folders, {one} or {other}"
        )
        return self.document.problem("metadata.name", message)


@dataclass(slots=True)
class Repeats:
    """The objects that were read, by kind and name."""

    _first: dict[tuple[str, str, str], Origin] = field(default_factory=dict)

    def add(self, document: Document, namespace: str, name: str) -> Repeat | None:
        """None if no other object has this kind and name. `namespace` is "" for cluster-scoped kinds."""
        group = document.api_version.rpartition("/")[0]  # several have a kind NetworkPolicy
        key = (f"{document.kind}.{group}", namespace, name)
        first = self._first.setdefault(key, document.origin)
        if first is document.origin:
            return None
        identical = _content(_read_again(first)) == _content(document.object)
        return Repeat(document, first, f"{namespace}/{name}" if namespace else name, identical)


def _read_again(origin: Origin) -> Any:
    """The object at an origin; None if it cannot be read on its own.

    Repeats are rare, so objects are not kept for them.
    """
    excerpt = origin.places.excerpt if isinstance(origin.places, LazyPlaces) else None
    if excerpt is None:
        return None
    try:
        return next(iter(read_yaml(excerpt.alone()[0]))).value
    except (TextError, StopIteration):
        return None


def _content(value: Any) -> Any:
    """An object without what a server changes by itself, and what items of a typed List may lack."""
    if not isinstance(value, Mapping):
        return value
    metadata = value.get("metadata")
    kept = {key: item for key, item in value.items() if key not in {"apiVersion", "kind"}}
    if isinstance(metadata, Mapping):
        kept["metadata"] = {key: item for key, item in metadata.items() if key not in _BOOKKEEPING}
    return kept
