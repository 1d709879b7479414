"""Files to documents: finding what matters, and saying where everything stands.

The steps: source.py (files) -> piece.py (text that parses by itself) -> yamltext.py or jsontext.py
(objects) -> lists taken apart -> Document. Problems are collected; nothing that matters is skipped in
silence.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.manifests import jsontext, piece, source, yamltext
from netprobe.manifests.document import Document, LazyPlaces
from netprobe.manifests.kinds import TEMPLATED, Relevance, relevance
from netprobe.manifests.piece import Piece
from netprobe.manifests.trim import LARGE, trimmed
from netprobe.manifests.yamltext import Places, Tree, YamlError
from netprobe.model.policy import Origin
from netprobe.policies.fields import type_name

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and their total (0 where it is not known: standard input)."""
_STEP = 1 << 18
_TRIMMED = TEMPLATED | {"Pod"}


def read_documents(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Document]:
    """Every object under `paths` that matters to the network, Lists taken apart.

    Paths are files, folders and "-". Raises InputError with all problems after the last good document.
    """
    reader = Reader()
    yield from reader.documents(paths)
    if reader.problems:
        raise InputError(reader.problems)


@dataclass(slots=True)
class Reader:
    """One reading. `passed_over` counts by kind what does not matter, `not_simulated` policies of other
    kinds; `overlays` are folders from whose files Kustomize makes other objects than they hold.
    """

    progress: Progress | None = None
    problems: list[Problem] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    not_simulated: Counter[str] = field(default_factory=Counter)
    overlays: list[str] = field(default_factory=list)
    _done: int = 0
    _total: int = 0
    _told: int = 0
    _large: bool = False

    def documents(self, paths: Iterable[str | os.PathLike[str]]) -> Iterator[Document]:
        aside = source.Aside()
        sources = source.find(paths, self.problems, aside)
        self.problems += [Problem(chart, "", source.CHART) for chart in aside.charts]
        self.overlays += aside.overlays
        self._total = sum(found.size for found in sources)
        for found in sources:
            text = source.read(found, self.problems)
            if text is not None:
                yield from self.text(found.name, text, found.size)
            self._done += found.size
            self._tell(self._done)

    def text(self, file: str, text: str, size: int = 0) -> Iterator[Document]:
        """The documents of one text; `size` in bytes, for progress."""
        scale = size / len(text) if text else 0
        if text.lstrip()[:1] in {"{", "["} and not text.lstrip().startswith("{{"):
            try:
                for found in jsontext.objects(text):
                    self._tell(self._done + int(found.end * scale))
                    yield from self._json(file, text, found)
            except jsontext.JsonError as error:
                if error.may_be_yaml and not file.endswith(".json"):
                    yield from self._yaml(file, text, scale)
                else:
                    place = f"{file}:{error.line}:{error.column}"
                    self.problems.append(Problem(place, "", error.message))
        else:
            yield from self._yaml(file, text, scale)

    def _yaml(self, file: str, text: str, scale: float) -> Iterator[Document]:
        self._large = len(text) > LARGE
        for part in piece.documents(text):
            yield from self._piece(file, part, scale)
            self._tell(self._done + int(part.end * scale))

    def _tell(self, read: int) -> None:
        if self.progress and (read - self._told >= _STEP or read >= self._total) and read > self._told:
            self._told = read
            self.progress(read, self._total)

    def _piece(self, file: str, part: Piece, scale: float = 0) -> Iterator[Document]:
        if part.kind.endswith("List") and (items := piece.items(part)) is not None:
            yield from self._list(file, part, items, scale)
        elif not self._skips(part.api_version, part.kind):
            try:
                trees = self._parse(part)
            except YamlError as error:
                self._syntax(file, part, error)
                return
            yield from self._trees(file, part, trees)

    def _list(self, file: str, whole: Piece, items: list[Piece], scale: float) -> Iterator[Document]:
        """Item by item. Where one does not parse by itself the whole decides: an anchor may stand
        elsewhere.
        """
        inherited = whole.api_version, whole.kind.removesuffix("List")
        for index, item in enumerate(items):
            self._tell(self._done + int(item.end * scale))
            if self._skips(item.api_version, item.kind):
                continue
            try:
                trees = self._parse(item)
            except YamlError:
                yield from self._rest(file, whole, index)
                return
            yield from self._trees(file, item, trees, inherited)

    def _rest(self, file: str, whole: Piece, index: int) -> Iterator[Document]:
        try:
            (tree,) = _parse(whole)
        except YamlError as error:
            self._syntax(file, whole, error)
            return
        tree.value = {**tree.value, "items": [None] * index + tree.value["items"][index:]}
        yield from self._trees(file, whole, [tree])

    def _parse(self, part: Piece) -> list[Tree]:
        if self._large and part.kind in _TRIMMED:
            text = trimmed(part.text)
            if text is not part.text:
                try:
                    return yamltext.parse(text)
                except YamlError:  # the whole text decides, and has the right places
                    pass
        return _parse(part)

    def _skips(self, api_version: str, kind: str) -> bool:
        """Whether an object of that kind is passed over; it is counted then."""
        if not kind:
            return False
        verdict, name = relevance(api_version, kind)
        if verdict is Relevance.NOT_SIMULATED:
            self.not_simulated[name] += 1
        if verdict in {Relevance.NOT_SIMULATED, Relevance.PASSED_OVER}:
            self.passed_over[name] += 1
            return True
        return False

    def _syntax(self, file: str, part: Piece, error: YamlError) -> None:
        if not self._helm(file, part):
            self.problems.append(Problem(f"{file}:{error.line}:{error.column}", "", error.message))

    def _helm(self, file: str, part: Piece) -> bool:
        found = part.text.find("{{")
        if found < 0:
            return False
        line = part.line + part.text.count("\n", 0, found)
        message = "this is a template, not a manifest: render it first (helm template)"
        self.problems.append(Problem(f"{file}:{line}", "", message))
        return True

    def _trees(
        self, file: str, part: Piece, trees: list[Tree], inherited: tuple[str, str] = ("", "")
    ) -> Iterator[Document]:
        for index, tree in enumerate(trees):
            if tree.duplicates:
                if not self._helm(file, part):
                    self._duplicates(file, part, tree)
                continue
            value, prefix = tree.value, ""
            if part.is_item and value:
                value, prefix = value[0], "[0]"
            if "{{" in part.text and _is_template(value):
                self._helm(file, part)
                continue
            line = part.line + _leading_lines(part.text)
            context = _Context(file, line, tree.places, partial(_places_again, part, index))
            yield from self._expand(context, value, prefix, inherited)

    def _duplicates(self, file: str, part: Piece, tree: Tree) -> None:
        again = [tree] if tree.places else _parse(part, places=True)
        for each in again:
            for path, (line, column), first in each.duplicates:
                inner = path.removeprefix("[0].") if part.is_item else path
                message = f"this key stands here for the second time; the first is in line {first}"
                self.problems.append(Problem(f"{file}:{line}:{column}", inner, message))

    def _json(self, file: str, text: str, found: jsontext.Found) -> Iterator[Document]:
        if found.duplicate is not None:
            message = f'the key "{found.duplicate}" stands twice in one mapping'
            self.problems.append(Problem(f"{file}:{found.line}", "", message))
            return
        part = text[found.start : found.end]
        context = _Context(file, found.line, {}, partial(_json_places, part, found.line, found.column))
        yield from self._expand(context, found.value, "", (found.api_version, found.kind))

    def _expand(
        self, context: _Context, value: Any, path: str, inherited: tuple[str, str] = ("", "")
    ) -> Iterator[Document]:
        """One object, or those of a List. `inherited`: the items of a PodList may leave their kind out."""
        if value is None:
            return
        if not isinstance(value, dict):
            document = context.document({}, path)
            self.problems.append(document.problem("", "not an object: expected apiVersion, kind, metadata"))
            return
        value = _with_type(value, inherited)
        api_version, kind = value.get("apiVersion"), value.get("kind")
        items = value.get("items")
        if kind == "List" and not isinstance(items, list | None):
            document = context.document(value, path)
            self.problems.append(document.problem("items", f"must be a list, not {type_name(items)}"))
            return
        if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list | None):
            inner = (str(api_version), kind.removesuffix("List"))
            for index, item in enumerate(items or ()):
                where = f"{path}.items[{index}]" if path else f"items[{index}]"
                yield from self._expand(context, item, where, inner)
            return
        document = context.document(value, path)
        missing = [key for key in ("apiVersion", "kind") if not isinstance(value.get(key), str)]
        if missing:
            self.problems += [
                document.problem(key, "Required value: every object has one") for key in missing
            ]
        elif not self._skips(str(api_version), str(kind)):
            verdict, text = relevance(str(api_version), str(kind))
            if verdict in {Relevance.WRONG, Relevance.MISSPELT}:
                key = "apiVersion" if verdict is Relevance.WRONG else "kind"
                self.problems.append(document.problem(key, text))
            else:
                yield replace(document, origin=context.origin(path)) if kind == "NetworkPolicy" else document


@dataclass(slots=True)
class _Context:
    """The text that an object stands in: its places, or how to work them out."""

    file: str
    line: int
    places: Places
    find_places: Callable[[], Places]

    def document(self, value: Mapping[str, Any], path: str) -> Document:
        """The document at `path` of that text: "" for the whole, "items[3]" for an item of a List."""
        if path and path != "[0]":
            self.known()
        line = self.places.get(path, (self.line, 1))[0]
        return Document(Origin(self.file, line), value, partial(self.origin, path))

    def origin(self, path: str) -> Origin:
        line = self.places.get(path, (self.line, 1))[0]
        return Origin(self.file, line, LazyPlaces(partial(self.below, path)))

    def below(self, path: str) -> Places:
        places = self.known()
        if not path:
            return places
        start = f"{path}."
        return {key[len(start) :]: place for key, place in places.items() if key.startswith(start)}

    def known(self) -> Places:
        if not self.places:
            self.places = self.find_places()
        return self.places


def _places_again(part: Piece, index: int) -> Places:
    return _parse(part, places=True)[index].places


def _json_places(part: str, line: int, column: int) -> Places:
    try:
        return yamltext.parse(part, first_line=line, first_column=column, places=True)[0].places
    except YamlError:  # an escape that JSON has and YAML 1.1 has not
        return {}


def _with_type(value: Mapping[str, Any], inherited: tuple[str, str]) -> Mapping[str, Any]:
    api_version, kind = inherited
    if not kind or "kind" in value:
        return value
    return {"apiVersion": api_version, "kind": kind, **value}


def _parse(part: Piece, *, places: bool = False) -> list[Tree]:
    return yamltext.parse(part.text, first_line=part.line, places=places)


def _is_template(value: Any) -> bool:
    """Whether a name or label still has the braces of a template, quoted, so that it is YAML."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict):
        return False
    labels = metadata.get("labels")
    texts = [metadata.get("name"), metadata.get("namespace")]
    texts += [*labels, *labels.values()] if isinstance(labels, dict) else []
    return any(isinstance(text, str) and "{{" in text for text in texts)


def _leading_lines(text: str) -> int:
    """Lines before the object itself begins: the `---`, blank ones and comments."""
    for count, line in enumerate(text.split("\n")):
        bare = line.strip()
        if bare and not bare.startswith("#") and bare != "---":
            return count
    return 0
