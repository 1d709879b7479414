"""Kubernetes API objects as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""An API object, or a part of one, as JSON decodes it."""

ReadOnlyObject: TypeAlias = Mapping[str, Any]
"""The same for code that never changes it."""
