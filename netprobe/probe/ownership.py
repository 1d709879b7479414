"""Which objects a run owns, and the proof of it. Pure.

A label alone proves nothing: anyone can set one. So before a run creates an object, it writes the object's
name into the record, an annotation of its Lease, and the object carries the record's random token. An object
is the run's if the record names it and the token matches. A run that is killed between record and creation
leaves a name without an object, never an object without a name.

Objects in a run's own namespaces are not recorded: they go with the namespace.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from netprobe.model.objects import Object
from netprobe.probe.deciding import key_of
from netprobe.probe.run_objects import RUN, run_namespace

TOKEN: Final = "netprobe.dev/token"  # noqa: S105 (the name of an annotation)
RECORD: Final = "netprobe.dev/record"  # of the Lease: {"token": TOKEN, "objects": ["KIND/NAMESPACE/NAME"]}

_PROTECTED: Final = re.compile(r"kube-.*|default")


class ObjectRef(NamedTuple):
    """An object of the cluster; written "KIND/NAME" or "KIND/NAMESPACE/NAME".

    `kind`: of a policy its key, which may have the API group in it.
    """

    kind: str
    namespace: str | None
    name: str

    @classmethod
    def of(cls, obj: Object) -> Self:
        meta = obj["metadata"]
        return cls(key_of(obj), meta.get("namespace"), meta["name"])

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for anything else."""
        match text.split("/"):
            case [kind, name]:
                return cls(kind, None, name)
            case [kind, namespace, name]:
                return cls(kind, namespace, name)
        return None

    @property
    def is_protected(self) -> bool:
        """A namespace that is never deleted, whatever labels or records say."""
        return self.kind == "Namespace" and bool(_PROTECTED.fullmatch(self.name))

    def __str__(self) -> str:
        return "/".join(filter(None, self))


@dataclass(slots=True)
class Record:
    """What one run created, or is about to."""

    run: str
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    refs: set[ObjectRef] = field(default_factory=set)

    @classmethod
    def read(cls, lease: Object) -> Self | None:
        """The record in a Lease; None if it has none that can be read."""
        meta = lease["metadata"]
        try:
            found = json.loads((meta.get("annotations") or {})[RECORD])
            run, token, texts = meta["labels"][RUN], found["token"], found["objects"]
        except (KeyError, TypeError, ValueError):
            return None
        if not (isinstance(token, str) and token and isinstance(texts, list)):
            return None
        refs = (ObjectRef.parse(text) for text in texts if isinstance(text, str))
        return cls(run, token, {ref for ref in refs if ref is not None})

    @property
    def namespaces(self) -> set[str]:
        """The run's own namespaces."""
        return {ref.name for ref in self.refs if ref.kind == "Namespace"} | {run_namespace(self.run)}

    def covers(self, ref: ObjectRef) -> bool:
        """Whether an object needs no entry of its own: it is in a namespace of the run."""
        return ref.namespace is not None and ref.namespace in self.namespaces

    def proves(self, obj: Object) -> bool:
        """Whether an object that exists is the run's."""
        token = (obj["metadata"].get("annotations") or {}).get(TOKEN)
        return token == self.token and ObjectRef.of(obj) in self.refs

    def mark(self, obj: Object) -> Object:
        """The same object with the run's label and token."""
        meta = obj["metadata"]
        labels = {**(meta.get("labels") or {}), RUN: self.run}
        annotations = {**(meta.get("annotations") or {}), TOKEN: self.token}
        return {**obj, "metadata": {**meta, "labels": labels, "annotations": annotations}}

    def annotation(self) -> dict[str, str]:
        """The record as an annotation of the Lease."""
        texts = sorted(map(str, self.refs))
        return {RECORD: json.dumps({"token": self.token, "objects": texts}, separators=(",", ":"))}


OPEN: Final[list[Record]] = []
"""The records of this process's runs that still have objects; printed if the process is interrupted."""
