"""Manifests and live objects to the model, and policies back: the one place where API defaults are filled
in.
"""

from __future__ import annotations

from netprobe.manifests.document import Document
from netprobe.manifests.fields import FieldError
from netprobe.manifests.load import Loaded, from_objects, load
from netprobe.manifests.policy import dump_policy, parse_policy
from netprobe.manifests.reader import Reader, read_documents
from netprobe.manifests.validate import validate_policy

__all__ = [
    "Document",
    "FieldError",
    "Loaded",
    "Reader",
    "dump_policy",
    "from_objects",
    "load",
    "parse_policy",
    "read_documents",
    "validate_policy",
]
