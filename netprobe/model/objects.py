"""Kubernetes API objects as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from netprobe.model.policy import Origin

Object: TypeAlias = dict[str, Any]
"""An API object, or a part of one, as JSON decodes it."""

ReadOnlyObject: TypeAlias = Mapping[str, Any]
"""The same for code that never changes it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The object that describes a policy, a namespace, or the pods of a workload.

    `origin` is None for an object of a live cluster. `path` leads to the description inside the object: a
    suite's topology describes many pods.
    """

    object: ReadOnlyObject
    origin: Origin | None = None
    path: tuple[str | int, ...] = ()
