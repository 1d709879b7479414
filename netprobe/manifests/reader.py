"""Files to documents: which objects matter, with the place of everything that is wrong.

Problems are collected, so that all of them can be reported at once. Nothing that matters is skipped silently.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.manifests import files
from netprobe.manifests.document import Document
from netprobe.manifests.excerpt import Excerpt, LazyPlaces, Parsed, TextError
from netprobe.manifests.json_reader import read_json
from netprobe.manifests.kinds import Relevance, relevance
from netprobe.manifests.yaml_reader import pieces, read_yaml
from netprobe.model.policy import Origin
from netprobe.policies.fields import child, type_name


def read_documents(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Document]:
    """Every object under `paths` that matters to the network, with Lists taken apart.

    Paths are files, folders and "-". Raises InputError with all problems after the last good document.
    """
    reader = Reader()
    yield from reader.documents(paths)
    if reader.problems:
        raise InputError(reader.problems)


@dataclass(slots=True)
class Reader:
    """Reads files and collects problems.

    `skipped` counts the objects that are skipped, by kind. `not_simulated` counts those among them that
    decide flows, policies of other kinds, and `unsimulated` has them. `overlays` are folders whose files
    Kustomize changes.
    """

    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    not_simulated: Counter[str] = field(default_factory=Counter)
    unsimulated: list[Document] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)

    def documents(self, paths: Iterable[str | os.PathLike[str]]) -> Iterator[Document]:
        found = files.find(paths)
        self.problems += found.problems
        self.problems += [Problem(chart, "", files.CHART) for chart in found.charts]
        self.overlays += found.overlays
        for source in found.sources:
            text = files.read(source, self.problems)
            if text is not None:
                yield from self.text(source.name, text)

    def text(self, file: str, text: str) -> Iterator[Document]:
        """The documents of one text."""
        for parsed in self._parsed(file, text):
            yield from self._objects(_Place(file, parsed.excerpt, parsed.items), parsed.value)

    def _parsed(self, file: str, text: str) -> Iterator[Parsed]:
        start = text.lstrip()[:2]
        if start[:1] in {"{", "["} and start != "{{":
            try:
                values = list(read_json(text))
            except TextError as error:
                if file.endswith(".json"):
                    self.problems.append(Problem(f"{file}:{error.line}:{error.column}", "", error.message))
                    return
                # it may be YAML in flow style
            else:
                yield from values
                return
        for piece, line in pieces(text):
            try:
                yield from read_yaml(piece, line)
            except TextError as error:
                problem = Problem(f"{file}:{error.line}:{error.column}", "", error.message)
                self.problems += _template(file, piece, line) or [problem]

    def _objects(
        self, place: _Place, value: Any, inherited: tuple[str, str] = ("", "")
    ) -> Iterator[Document]:
        """One object, or those of a List. `inherited`: apiVersion and kind of a typed List's items."""
        if value is None:
            return
        if not isinstance(value, dict):
            message = "not an object: expected apiVersion, kind, metadata"
            self.problems.append(place.document({}).problem("", message))
            return
        if inherited[1] and "kind" not in value:
            value = {"apiVersion": inherited[0], "kind": inherited[1], **value}
        document = place.document(value)
        kind, items = document.kind, value.get("items")
        if kind.endswith("List") and isinstance(items, list | None):
            self.problems += place.duplicates()
            inner = (document.api_version, kind.removesuffix("List"))
            for index, item in enumerate(items or ()):
                yield from self._objects(place.item(index), item, inner)
        elif kind == "List":
            self.problems.append(document.problem("items", f"must be a list, not {type_name(items)}"))
        elif self._is_relevant(document):
            problems = place.duplicates() or (place.template() if _has_braces(value) else [])
            self.problems += problems
            if not problems:
                yield document

    def _is_relevant(self, document: Document) -> bool:
        """Whether an object matters to the network. If not, it is counted, or what is wrong is collected."""
        missing = [key for key in ("apiVersion", "kind") if not isinstance(document.object.get(key), str)]
        if missing:
            message = "Required value: every object has one"
            self.problems += [document.problem(key, message) for key in missing]
            return False
        verdict, text = relevance(document.api_version, document.kind)
        match verdict:
            case Relevance.NOT_SIMULATED:
                self.not_simulated[text] += 1
                self.unsimulated.append(document)
                self.skipped[text] += 1
            case Relevance.SKIPPED:
                self.skipped[text] += 1
            case Relevance.WRONG_VERSION:
                self.problems.append(document.problem("apiVersion", text))
            case Relevance.MISSPELT_KIND:
                self.problems.append(document.problem("kind", text))
        return verdict is Relevance.MATTERS


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object was read: an excerpt of a file, or what is at `prefix` in it.

    `items` are the excerpts of a List's items; for a List inside a List they are not known.
    """

    file: str
    excerpt: Excerpt
    items: Sequence[Excerpt] = ()
    prefix: str = ""

    def document(self, value: Mapping[str, Any]) -> Document:
        places = LazyPlaces(self.excerpt, self.prefix)
        return Document(Origin(self.file, self.excerpt.line, places), value)

    def item(self, index: int) -> _Place:
        if index < len(self.items):
            return replace(self, excerpt=self.items[index], items=())
        return replace(self, prefix=child(self.prefix, f"items[{index}]"))

    def duplicates(self) -> list[Problem]:
        """The duplicate keys in the object; for a List, outside its items."""
        if not self.excerpt.has_duplicates:
            return []
        found = []
        for duplicate in self.excerpt.duplicates():
            if not (self.items and duplicate.path.startswith("items[")):
                line, column = duplicate.position
                message = f"this key is already in line {duplicate.first[0]}"
                found.append(Problem(f"{self.file}:{line}:{column}", duplicate.path, message))
        return found or [Problem(f"{self.file}:{self.excerpt.line}", "", "a mapping has a key twice")]

    def template(self) -> list[Problem]:
        text = self.excerpt.text[self.excerpt.start : self.excerpt.end]
        return _template(self.file, text, self.excerpt.line)


def _template(file: str, text: str, first_line: int) -> list[Problem]:
    """The problem with a text that has the braces of a template, if it has any."""
    found = text.find("{{")
    if found < 0:
        return []
    line = first_line + text.count("\n", 0, found)
    message = "this is a template, not a manifest: render it first (helm template)"
    return [Problem(f"{file}:{line}", "", message)]


def _has_braces(value: Mapping[str, Any]) -> bool:
    """Whether a name or label has the braces of a template, in quotes, so that it is valid YAML."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return False
    labels = metadata.get("labels")
    texts = [metadata.get("name"), metadata.get("namespace")]
    texts += [*labels, *labels.values()] if isinstance(labels, dict) else []
    return any(isinstance(text, str) and "{{" in text for text in texts)
