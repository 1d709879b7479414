"""An object as it was read, and where it stands in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netprobe.errors import Problem
from netprobe.manifests.yamltext import Places
from netprobe.model.policy import Origin
from netprobe.policies.fields import FieldError


class LazyPlaces(Mapping[str, tuple[int, int]]):
    """Places that are worked out when somebody asks for the first one."""

    __slots__ = ("_find", "_places")

    def __init__(self, find: Callable[[], Places]) -> None:
        self._find = find
        self._places: Places | None = None

    def _known(self) -> Places:
        if self._places is None:
            self._places = self._find()
        return self._places

    def __getitem__(self, path: str) -> tuple[int, int]:
        return self._known()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())


@dataclass(frozen=True, slots=True)
class Document:
    """One API object, as plain data that nobody may change. An origin without a line (0) is no text.

    `origin.places` is filled for NetworkPolicies; for other kinds the places are worked out when a problem
    needs them (`relocate` reads the text again), because noting all of them would cost more than reading.
    """

    origin: Origin
    object: Mapping[str, Any]
    relocate: Callable[[], Origin] | None = field(default=None, compare=False, repr=False)

    @property
    def kind(self) -> str:
        kind = self.object.get("kind")
        return kind if isinstance(kind, str) else ""

    @property
    def api_version(self) -> str:
        version = self.object.get("apiVersion")
        return version if isinstance(version, str) else ""

    def problem(self, path: str, message: str) -> Problem:
        return self.problems([FieldError(path, message, "", path)])[0]

    def problems(self, errors: Iterable[FieldError]) -> list[Problem]:
        """The errors with their places: file:line:column, or the origin alone where nothing more is known."""
        found = list(errors)
        if not found:
            return []
        origin = self.origin if self.origin.places or self.relocate is None else self.relocate()
        problems = []
        for error in found:
            place = str(origin) if origin.line else origin.file
            if origin.places:
                line, column = origin.at(error.at or error.path)
                place = f"{origin.file}:{line}:{column}"
            message = f"{error.message}; {error.hint}" if error.hint else error.message
            problems.append(Problem(place, error.path, message))
        return problems
