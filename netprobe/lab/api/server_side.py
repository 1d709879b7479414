"""Server-side apply."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.operations import Operations, Subresource, Writer
from netprobe.lab.api.requests import Target
from netprobe.lab.api.store import Object


def apply(
    operations: Operations, target: Target, config: Any, writer: Writer, subresource: Subresource
) -> tuple[Object, bool]:
    raise NotImplementedError
