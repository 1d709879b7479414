"""An API object as it was read, with its place in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.manifests.hints import hint_for
from netprobe.model.objects import Source
from netprobe.model.policy import Origin, Policy
from netprobe.policies.fields import Decoder, FieldError
from netprobe.policies.kinds import PolicyKind, Record, kind_of


@dataclass(frozen=True, slots=True)
class Document:
    """One API object, as plain data, not to be changed. An origin with line 0 is not a file."""

    origin: Origin
    object: Mapping[str, Any]

    @property
    def kind(self) -> str:
        kind = self.object.get("kind")
        return kind if isinstance(kind, str) else ""

    @property
    def api_version(self) -> str:
        version = self.object.get("apiVersion")
        return version if isinstance(version, str) else ""

    @property
    def policy_kind(self) -> PolicyKind | None:
        """The kind of policy that it is, None for other objects and for policies that are not simulated."""
        kind = kind_of(self.api_version, self.kind)
        return kind if kind is not None and kind.read is not None else None

    @property
    def source(self) -> Source:
        return Source(self.object, self.origin if self.origin.line else None)

    def problem(self, path: str, message: str) -> Problem:
        return self.problems([FieldError(path, message, "", path)])[0]

    def problems(self, errors: Iterable[FieldError]) -> list[Problem]:
        """The errors with their places: file:line:column, or the origin alone if nothing more is known."""
        return [self._problem(error) for error in errors]

    def _problem(self, error: FieldError) -> Problem:
        origin = self.origin
        place = str(origin) if origin.line else origin.file
        if origin.places:
            line, column = origin.at(error.at or error.path)
            place = f"{origin.file}:{line}:{column}"
        return Problem(place, error.path, self.message(error))

    def message(self, error: FieldError) -> str:
        """What the server says about an error, and what the author probably meant."""
        hint = hint_for(error, self.object, self.origin)
        return f"{error.message}; {hint}" if hint else error.message


def parse_policy(document: Document, *, namespace: str = "default", strict: bool = True) -> Policy:
    """The policy of a document; `namespace` for one that names none. Raises InputError with all problems."""
    policy, errors = read_policy(document, namespace=namespace, strict=strict)
    if policy is None:
        raise InputError(document.problems(errors))
    return policy


def read_policy(
    document: Document, *, namespace: str = "default", strict: bool = True
) -> tuple[Policy | None, list[FieldError]]:
    """The policy of a document, or everything that the API server would refuse in it."""
    record, decoder = read_record(document, namespace=namespace, strict=strict)
    return record if isinstance(record, Policy) else None, decoder.errors


def read_record(
    document: Document, *, namespace: str = "default", strict: bool = True
) -> tuple[Record | None, Decoder]:
    """What an object of a policy kind is in the model, with the decoder's errors and warnings."""
    kind, obj = document.policy_kind, document.object
    if kind is None or kind.read is None:
        raise ValueError(f"{document.origin} is not a policy")
    # servers from 1.24 to 1.27 had a status here, and `kubectl get -o yaml` still shows it
    checked = {key: value for key, value in obj.items() if key != "status"} if "status" in obj else obj
    decoder = Decoder(strict=strict)
    origin = document.origin if document.origin.line else None
    return kind.read(decoder, checked, namespace=namespace, origin=origin), decoder
