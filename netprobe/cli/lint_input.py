"""What `netprobe lint` looks at: manifests or a live cluster, and what is wrong with them before any rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.lint import (
    FILE_NAME,
    NO_CONFIG,
    Known,
    LintConfig,
    Linted,
    Refused,
    View,
    folder,
    known,
    lint,
    parse_config,
)
from netprobe.manifests import Document, Reader, parse_policy
from netprobe.manifests.collect import Collector
from netprobe.manifests.reader import Progress
from netprobe.manifests.source import Aside, find
from netprobe.manifests.source import read as read_text
from netprobe.manifests.yamltext import YamlError, parse
from netprobe.model.labels import Labels
from netprobe.model.policy import Origin, Policy, PolicyRef
from netprobe.policies.fields import FieldError
from netprobe.policies.networkpolicy import validate_policy

MOST_WORK = 50_000
"""Variants times policies: beyond, a variant is judged beside what stands in its own folder only."""


@dataclass(slots=True)
class Gathered:
    """Takes objects one by one; what the API server would refuse of a policy is kept as findings."""

    namespace: str = "default"
    live: bool = False
    objects: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    repeated: list[tuple[Policy, Labels]] = field(default_factory=list)
    annotations: dict[PolicyRef, Labels] = field(default_factory=dict)
    passed_over: Iterable[str] = ()
    charts: set[str] = field(default_factory=set)
    overlays: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)
    _collector: Collector = field(init=False)

    def __post_init__(self) -> None:
        self._collector = Collector(strict=not self.live, default_namespace=self.namespace)

    def add(self, document: Document) -> None:
        """One object; of two of one name the first counts, and a second policy is kept aside."""
        metadata = document.object.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        namespace = str(metadata.get("namespace") or self.namespace)
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        is_policy = document.kind == "NetworkPolicy"
        ref = PolicyRef(namespace, name)
        if is_policy and (errors := self._errors(document)):
            self.refused += [_refused(document, ref, error) for error in errors]
            return
        key = (document.kind, "" if document.kind == "Namespace" else namespace, name)
        if name and not metadata.get("generateName") and key in self._seen:
            if is_policy:
                again = parse_policy(document, namespace=self.namespace, strict=not self.live)
                self.repeated.append((again, _annotations(metadata)))
            return
        self._seen.add(key)
        self.objects.append(document.object)
        taken = self._collector.add(document)
        if taken and (given := _annotations(metadata)):
            self.annotations[taken] = given

    def view(self) -> View:
        """What was gathered; objects that cannot be understood are in `problems` then."""
        self.problems += self._collector.problems
        self._collector.problems.clear()
        weighed = known(self.objects, self.passed_over, live=self.live)
        return View(
            self._collector.cluster(),
            weighed,
            refused=self.refused,
            repeated=[policy for policy, _ in self.repeated],
            annotations=self.annotations,
        )

    def lint(self, config: LintConfig = NO_CONFIG) -> Linted:
        """The findings; a policy of which there are variants, as in overlays, is judged in each."""
        view = self.view()
        linted = lint(view, config)
        variants = list(self._variants())
        everything = len(variants) * len(view.cluster.policies) <= MOST_WORK
        for variant in variants:
            policies = {policy.ref: policy for policy, _ in variant}
            home = _home(variant[0][0])
            around = (one for one in view.cluster.policies if everything or _home(one) == home)
            annotations = {**self.annotations, **{policy.ref: given for policy, given in variant}}
            world = view.varied(tuple({**{one.ref: one for one in around}, **policies}.values()), annotations)
            linted = linted.joined(lint(world, config), policies.values())
        return linted

    def _variants(self) -> Iterator[list[tuple[Policy, Labels]]]:
        """The repeated policies, those of one folder together, each name once."""
        left = self.repeated
        while left:
            home = _home(left[0][0])
            now: dict[PolicyRef, tuple[Policy, Labels]] = {}
            later: list[tuple[Policy, Labels]] = []
            for each in left:
                if _home(each[0]) == home and each[0].ref not in now:
                    now[each[0].ref] = each
                else:
                    later.append(each)
            yield list(now.values())
            left = later

    def _errors(self, document: Document) -> list[FieldError]:
        checked = {key: value for key, value in document.object.items() if key != "status"}
        return [] if self.live else validate_policy(checked)


def _home(policy: Policy) -> str:
    return folder(policy.origin.file) if policy.origin is not None else ""


def _annotations(metadata: Mapping[str, Any]) -> Labels:
    given = metadata.get("annotations")
    return {str(key): str(value) for key, value in given.items()} if isinstance(given, Mapping) else {}


def _refused(document: Document, ref: PolicyRef, error: FieldError) -> Refused:
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    return Refused(ref, error.at or error.path, message, document.origin)


def read(
    paths: Iterable[str],
    config: LintConfig = NO_CONFIG,
    namespace: str = "default",
    progress: Progress | None = None,
) -> Gathered:
    """Everything under files, folders and "-", but what the configuration excludes."""
    gathered = Gathered(namespace)
    reader = Reader(progress)
    given = list(map(str, paths))  # in their order: of two of one name the first counts
    aside = Aside()
    for source in find(given, gathered.problems, aside):
        named = source.path is None or str(source.path) in given
        if config.excludes(source.name):
            continue
        text = read_text(source, gathered.problems)
        if text is None or not (named or _is_manifest(text)):
            continue
        for document in reader.text(source.name, text, source.size):
            gathered.add(document)
    gathered.problems += reader.problems
    gathered.passed_over = list(reader.passed_over)
    gathered.charts = {chart for chart in aside.charts if not config.excludes(chart)}
    gathered.overlays = [folder for folder in aside.overlays if not config.excludes(folder)]
    return gathered


_OBJECT = re.compile(
    r"""^(---\s+)?(- )?["']?(apiVersion|kind)["']?\s*:|^(---\s+)?\s*\{.*apiVersion""", re.MULTILINE
)
_JSON_OBJECT = re.compile(r'"?apiVersion"?\s*:')


def _is_manifest(text: str) -> bool:
    """Whether a file that was merely found in a folder is to be read: repositories hold other YAML too."""
    pattern = _JSON_OBJECT if text.lstrip()[:1] in {"{", "["} else _OBJECT
    return pattern.search(text) is not None


def is_suite(path: str) -> bool:
    """Whether a file is a suite, whose topology tells the labels that its policies are about."""
    if not Path(path).is_file():  # a pipe can be read once, and is not ours
        return False
    try:
        return bool(_SUITE.search(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return False


_SUITE = re.compile(r"""^["']?kind["']?\s*:\s*["']?ConnectivitySuite\b""", re.MULTILINE)


def suite(path: str) -> View:
    """The topology of a suite, with its policies applied. Raises InputError where it cannot be read."""
    from netprobe.suite import load

    loaded = load(path)
    cluster = loaded.cluster()
    annotations: dict[PolicyRef, Labels] = {}
    for document, policy in zip(loaded.policies, loaded.parsed, strict=True):
        annotations[policy.ref] = _annotations(document.object.get("metadata") or {})
    described = Known(
        namespaces=frozenset(cluster.namespaces) if loaded.topology is not None else frozenset()
    )
    return View(cluster, described, annotations=annotations)


def live(objects: Iterable[Mapping[str, Any]]) -> Gathered:
    """What a cluster's API lists; its policies stand in no file, but which paths are written is known."""
    gathered = Gathered(live=True)
    for thing in objects:
        is_policy = thing.get("kind") == "NetworkPolicy"
        places = dict.fromkeys(_paths(thing, ""), (1, 1)) if is_policy else {}
        gathered.add(Document(Origin("", 1, places), thing))
    return gathered


def _paths(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else str(key)
            yield inner
            yield from _paths(item, inner)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield f"{path}[{index}]"
            yield from _paths(item, f"{path}[{index}]")


def configuration(given: str | None) -> LintConfig:
    """The file that was named, or the nearest `.netprobe.yaml` from here up to the repository's root."""
    path = Path(given) if given else _nearest(Path.cwd())
    if path is None:
        return NO_CONFIG
    try:
        trees = parse(path.read_text(encoding="utf-8-sig"), places=True)
    except YamlError as error:
        raise InputError([Problem(f"{path}:{error.line}:{error.column}", "", error.message)]) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError([Problem(str(path), "", str(reason))]) from error
    if len(trees) > 1:
        raise InputError([Problem(str(path), "", "more than one document")])
    origin = Origin(str(path), 1, trees[0].places) if trees else Origin(str(path), 1)

    def place(where: str) -> str:
        line, column = origin.at(where)
        return f"{path}:{line}:{column}"

    return parse_config(trees[0].value if trees else None, place, str(path.resolve().parent))


def _nearest(folder: Path) -> Path | None:
    for parent in (folder, *folder.parents):
        if (parent / FILE_NAME).is_file():
            return parent / FILE_NAME
        if (parent / ".git").exists():
            return None
    return None
