"""Files to documents: which objects matter, with the place of everything that is wrong.

Problems are collected, so that all of them can be reported at once. Nothing that matters is skipped silently.
A file that the user names must be a manifest. A folder may contain anything: files that are not Kubernetes
objects are skipped and counted, and templates are skipped with a warning.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.manifests import files, no_manifest
from netprobe.manifests.document import Document, read_record
from netprobe.manifests.excerpt import Excerpt, LazyPlaces, Parsed, TextError
from netprobe.manifests.json_reader import read_json
from netprobe.manifests.kinds import WORKLOADS, Relevance, may_matter, relevance
from netprobe.manifests.pod import read_pod
from netprobe.manifests.service import read_service
from netprobe.manifests.workload import Owner, read_workload
from netprobe.manifests.yaml_reader import pieces, read_yaml
from netprobe.model.flow import PodRef, ServiceRef
from netprobe.model.policy import Origin
from netprobe.policies import names
from netprobe.policies.fields import Decoder, child, type_name
from netprobe.policies.metadata import check_labels, read_names

NOT_AN_OBJECT = "not an object: expected apiVersion, kind, metadata"

_HAS_OBJECT = re.compile(
    r"""^(---\s+)?(- )?["']?(apiVersion|kind)["']?\s*:|^(---\s+)?\s*[\[{].*["']?apiVersion["']?\s*:""",
    re.MULTILINE,
)
"""What a manifest with a mistake still contains, and YAML of other programs does not."""


def read_documents(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Document]:
    """Every object under `paths` that matters to the network; a List gives its items.

    Paths are files, folders and "-". Raises InputError with all problems after the last good document; a
    template is one.
    """
    reader = Reader()
    yield from reader.documents(paths)
    if problems := [*reader.problems, *(each for each in reader.templates if each not in reader.problems)]:
        raise InputError(problems)


@dataclass(slots=True)
class Reader:
    """Reads files and collects problems.

    `skipped` counts by kind the objects that do not matter to the network, `not_simulated` those that decide
    flows and are skipped too, policies of other kinds, and `unsimulated` has them. `others` are files of
    folders with something that is not a Kubernetes object. `templates` are skipped charts and templates, each
    with its place; `removed` are objects whose apiVersion no server has any more. `overlays` are folders
    whose files Kustomize changes. `kept` are the skipped objects of the kinds in `keeps`.
    """

    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    not_simulated: Counter[str] = field(default_factory=Counter)
    unsimulated: list[Document] = field(default_factory=list)
    others: dict[str, None] = field(default_factory=dict)
    templates: list[Problem] = field(default_factory=list)
    removed: list[tuple[Document, str]] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)
    keeps: Collection[str] = ()
    kept: list[Document] = field(default_factory=list)

    def documents(
        self, paths: Iterable[str | os.PathLike[str]], excludes: Callable[[str], bool] = lambda _: False
    ) -> Iterator[Document]:
        """The documents of files, folders and "-", without files and folders whose name `excludes` takes."""
        found = files.find(paths)
        self.problems += found.problems
        self.templates += [
            Problem(name, "", no_manifest.CHART) for name in found.charts if not excludes(name)
        ]
        self.overlays += [name for name in found.overlays if not excludes(name)]
        is_empty = True
        for source in found.sources:
            text = None if excludes(source.name) else files.read(source, self.problems)
            for document in self.text(source.name, text, named=source.named) if text is not None else ():
                is_empty = False
                yield document
        if is_empty and not (self.skipped or self.not_simulated):
            # an answer about nothing would look like a good one
            self.problems += self.templates

    def text(self, file: str, text: str, *, named: bool = True) -> Iterator[Document]:
        """The documents of one text; `named` as in `Source`."""
        for parsed in self._parsed(file, text, named):
            place = _Place(file, parsed.excerpt, parsed.items, named=named)
            yield from self._objects(place, parsed.value)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what is missing from what was read, or may not be as it is in a cluster."""
        return (*_warnings(self),)

    def _parsed(self, file: str, text: str, named: bool) -> Iterator[Parsed]:
        if named and (message := no_manifest.kubectl_output(text)):
            self.problems.append(Problem(file, "", message))
            return
        start = text.lstrip()[:2]
        if start[:1] in {"{", "["} and start != "{{":
            try:
                values = list(read_json(text))
            except TextError as error:
                if file.endswith(".json"):
                    self._unreadable(file, text, 1, error, named)
                    return
                # it may be YAML in flow style
            else:
                yield from values
                return
        for piece, line in pieces(text):
            try:
                yield from read_yaml(piece, line)
            except TextError as error:
                self._unreadable(file, piece, line, error, named)

    def _unreadable(self, file: str, text: str, first_line: int, error: TextError, named: bool) -> None:
        """Collect why a text is not YAML or JSON: a template, something else than a manifest, a mistake."""
        if not named and not _HAS_OBJECT.search(text):
            self.others[file] = None
        elif (mark := no_manifest.mark(text)) is not None:
            self._template(Problem(f"{file}:{first_line + mark.line}", "", mark.message), named)
        else:
            self.problems.append(Problem(f"{file}:{error.line}:{error.column}", "", error.message))

    def _template(self, problem: Problem, named: bool) -> None:
        (self.problems if named else self.templates).append(problem)

    def _objects(
        self, place: _Place, value: Any, inherited: tuple[str, str] = ("", "")
    ) -> Iterator[Document]:
        """One object, or those of a List. `inherited`: apiVersion and kind of a typed List's items."""
        if value is None:
            return
        if not isinstance(value, dict):
            self._foreign(place)
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
        elif kind == "Template" and "objects" in value:
            self._template(document.problem("", no_manifest.OPENSHIFT), place.named)
        elif self._is_relevant(document, place) and self._is_complete(document, place):
            yield document

    def _foreign(self, place: _Place) -> None:
        if place.named:
            self.problems.append(place.document({}).problem("", NOT_AN_OBJECT))
        else:
            self.others[place.file] = None

    def _is_complete(self, document: Document, place: _Place) -> bool:
        """Whether an object is not a template and has no duplicate key; otherwise the reason is collected."""
        duplicates = place.duplicates()
        self.problems += duplicates
        # what a server has stored is not a template, and marks are common in its scripts
        stored = "uid" in (document.object.get("metadata") or ())
        mark = None if duplicates or stored else no_manifest.mark(place.text())
        if mark is None or _is_understood(document):
            return not duplicates
        line = place.excerpt.line + mark.line
        self._template(Problem(f"{place.file}:{line}", "", mark.message), place.named)
        return False

    def _is_relevant(self, document: Document, place: _Place) -> bool:
        """Whether an object matters to the network. If not, it is counted, or what is wrong is collected."""
        obj = document.object
        missing = [key for key in ("apiVersion", "kind") if not isinstance(obj.get(key), str)]
        if missing:
            is_mistake = len(missing) == 1 and may_matter(obj.get("apiVersion"), obj.get("kind"))
            if place.named or (is_mistake and isinstance(obj.get("metadata") or obj.get("spec"), dict)):
                message = "Required value: every object has one"
                self.problems += [document.problem(key, message) for key in missing]
            else:
                self._foreign(place)
            return False
        verdict, text = relevance(document.api_version, document.kind)
        match verdict:
            case Relevance.NOT_SIMULATED:
                self.not_simulated[text] += 1
                self.unsimulated.append(document)
            case Relevance.SKIPPED:
                self.skipped[text] += 1
                self.kept += [document] if document.kind in self.keeps else []
            case Relevance.REMOVED_VERSION:
                self.removed.append((document, text))
                if document.kind != "NetworkPolicy":
                    return True
                self.not_simulated[f"{document.api_version} {document.kind}"] += 1
                self.unsimulated.append(document)
            case Relevance.WRONG_VERSION:
                self.problems.append(document.problem("apiVersion", text))
            case Relevance.MISSPELT_KIND:
                self.problems.append(document.problem("kind", text))
        return verdict is Relevance.MATTERS


def _warnings(reader: Reader) -> Iterator[str]:
    by_message: dict[str, list[str]] = {}
    for document, message in reader.removed:
        read = "; read like that" if document.kind != "NetworkPolicy" else ""
        by_message.setdefault(f"{message}{read}", []).append(str(document.origin))
    for problem in reader.templates:
        by_message.setdefault(f"skipped: {problem.message}", []).append(problem.place)
    for message, places in by_message.items():
        yield f"{places[0]}: {message}{f' (and {len(places) - 1} more)' if len(places) > 1 else ''}"
    if reader.overlays:
        more = f" (and {len(reader.overlays) - 1} more)" if len(reader.overlays) > 1 else ""
        yield (
            f"{reader.overlays[0]}: its files are read as they are, without Kustomize; "
            f"build it first (kubectl kustomize FOLDER){more}"
        )


def _is_understood(document: Document) -> bool:
    """Whether an object can be read without an error."""
    if document.policy_kind is not None:
        return not read_record(document, strict=False)[1].errors
    decoder = Decoder(strict=False)
    obj, kind = document.object, document.kind
    metadata = decoder.mapping(obj.get("metadata"), "metadata")
    read_names(decoder, metadata, names.dns_label if kind == "Namespace" else names.dns_subdomain)
    check_labels(decoder, metadata, "labels", "metadata")
    if kind == "Pod":
        read_pod(decoder, obj, PodRef("", ""))
    elif kind == "Service":
        read_service(decoder, obj, ServiceRef("", ""))
    elif kind in WORKLOADS:
        read_workload(decoder, obj, Owner("", kind, ""))
    return not decoder.errors


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object was read: an excerpt of a file, or what is at `prefix` in it.

    `items` are the excerpts of a List's items; for a List inside a List they are not known.
    """

    file: str
    excerpt: Excerpt
    items: Sequence[Excerpt] = ()
    prefix: str = ""
    named: bool = True

    def text(self) -> str:
        return self.excerpt.text[self.excerpt.start : self.excerpt.end]

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
