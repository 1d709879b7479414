"""Manifests and live objects to the model."""

from __future__ import annotations

from netprobe.manifests.document import Document, parse_policy, read_policy
from netprobe.manifests.load import Loaded, from_objects, load
from netprobe.manifests.reader import Reader, read_documents

__all__ = [
    "Document",
    "Loaded",
    "Reader",
    "from_objects",
    "load",
    "parse_policy",
    "read_documents",
    "read_policy",
]
