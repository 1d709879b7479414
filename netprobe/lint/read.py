"""What lint looks at: manifests, a suite or a live cluster, with what the API server would reject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.explain import Advisor
from netprobe.lint.fix import with_effects
from netprobe.lint.known import Known, known
from netprobe.lint.linter import FILE_NAME, NO_CONFIG, LintConfig, Linted, lint, parse_config
from netprobe.lint.view import Refused, View, folder
from netprobe.manifests import Document, Reader, read_policy
from netprobe.manifests.document import read_record
from netprobe.manifests.excerpt import TextError
from netprobe.manifests.load import Collector, without_kinds
from netprobe.manifests.repeats import Repeat, Repeats
from netprobe.manifests.yaml_reader import read_yaml
from netprobe.model.labels import Labels
from netprobe.model.policy import Origin, Policy, PolicyRef, Tier
from netprobe.policies.kinds import NETWORK_POLICY, kind_of
from netprobe.policies.records import ref_of, with_records
from netprobe.probe.run_objects import RUN
from netprobe.simulate import Simulator
from netprobe.suite import Suite

WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
MOST_WORK = 50_000
"""Variants times policies. Beyond that, a variant is linted with the policies of its own folder only."""


@dataclass(slots=True)
class LintInput:
    """The objects to lint, added one by one.

    `refused`: what the API server would reject. `repeated`: policies whose name was there before, with their
    annotations; variants of overlays are linted one by one. `variants`: other objects whose name was there
    before. `partial`: labels and pods may still be added, by templates or Kustomize. `unreadable`: policy
    kinds of a live cluster that may not be listed. `tiers`: those that the manifests do not contain.
    `warnings`: sentences about what was left out.
    """

    namespace: str = "default"
    live: bool = False
    objects: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    repeated: list[tuple[Policy, Labels]] = field(default_factory=list)
    annotations: dict[PolicyRef, Labels] = field(default_factory=dict)
    variants: list[Repeat] = field(default_factory=list)
    skipped: Iterable[str] = ()
    unreadable: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ()
    webhooks: list[Mapping[str, Any]] = field(default_factory=list)
    partial: bool = False
    warnings: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    _repeats: Repeats = field(default_factory=Repeats)
    _homes: defaultdict[PolicyRef, set[str]] = field(default_factory=lambda: defaultdict(set))
    _collector: Collector = field(init=False)
    _others: Collector = field(init=False)  # the variants of other objects than policies

    def __post_init__(self) -> None:
        self._collector = Collector(strict=not self.live, default_namespace=self.namespace)
        self._others = Collector(strict=False, default_namespace=self.namespace)

    def add(self, document: Document) -> None:
        """Add one object. Of two with one name and different content both count, as variants."""
        metadata = document.object.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        namespace = str(metadata.get("namespace") or self.namespace)
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        kind = document.policy_kind
        ref = PolicyRef(namespace, name)
        if kind is not None:
            ref = PolicyRef(namespace if kind.namespaced else "", name, kind.key)
        if kind is not None and not (self.live and kind is NETWORK_POLICY):
            decoder = read_record(document, strict=not self.live)[1]
            self.refused += [
                Refused(ref, error.at or error.path, document.message(error), document.origin)
                for error in (*decoder.errors, *(decoder.warnings if self.live else ()))
            ]
            if decoder.errors and not self.live:
                return
        if metadata.get("name"):
            repeat = self._repeats.add(document, "" if document.kind == "Namespace" else namespace, name)
            if repeat is not None:
                if not repeat.identical:
                    self._variant(repeat, metadata)
                self._homes[ref].add(folder(document.origin.file))
                return
        self.objects.append(document.object)
        taken = self._collector.add(document)
        if taken and (given := _annotations(metadata)):
            self.annotations[taken] = given

    def _variant(self, repeat: Repeat, metadata: Mapping[str, Any]) -> None:
        document = repeat.document
        if document.policy_kind is not None:
            again, _ = read_policy(document, namespace=self.namespace, strict=not self.live)
            if again is not None:
                self.repeated.append((again, _annotations(metadata)))
            return
        self.variants.append(repeat)
        if document.kind != "Namespace":
            other_name = {**metadata, "name": f"{metadata['name']}.{len(self.variants)}"}
            self._others.add(replace(document, object={**document.object, "metadata": other_name}))

    def view(self) -> View:
        """The view for the rules. Objects that cannot be understood are added to `problems`."""
        self.problems += [*self._collector.problems, *self._others.problems]
        self._collector.problems.clear()
        self._others.problems.clear()
        unsure = {repeat.name for repeat in self.variants if repeat.document.kind == "Namespace"}
        extent = known(self.objects, self.skipped, live=self.live, partial=self.partial, unsure=unsure)
        self._collector.warnings.clear()  # `refused` has them
        return View(
            with_records(without_kinds(self._collector.cluster(), self.unreadable), self.tiers),
            extent,
            refused=self.refused,
            repeated=[policy for policy, _ in self.repeated],
            variants=self.variants,
            possible=self._others.cluster().pods.values(),
            webhooks=self.webhooks,
            annotations=self.annotations,
        )

    def lint(self, config: LintConfig = NO_CONFIG) -> Linted:
        """All findings. A policy with variants, as in overlays, is linted once for each."""
        view = self.view()
        linted = lint(view, config)
        variants = list(self._variants())
        everything = len(variants) * len(view.all_kinds.policies) <= MOST_WORK
        for variant in variants:
            policies = {policy.ref: policy for policy, _ in variant}
            home, namespaces = _home(variant[0][0]), {"", *(ref.namespace for ref in policies)}
            around = (
                one
                for one in view.all_kinds.policies
                if (everything or home in {_home(one), *self._homes[one.ref]})
                and (one.ref.namespace in namespaces or any(not ref.namespace for ref in policies))
            )
            annotations = {**self.annotations, **{policy.ref: given for policy, given in variant}}
            world = view.varied(tuple({**{one.ref: one for one in around}, **policies}.values()), annotations)
            linted = linted.joined(lint(world, config), policies.values())
        warnings = (*self.warnings, *(view.cluster.warnings if self.live else ()))
        return with_effects(replace(linted, warnings=warnings), Advisor(Simulator(view.cluster)))

    def _variants(self) -> Iterator[list[tuple[Policy, Labels]]]:
        """The repeated policies by folder, each name once."""
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


def _home(policy: Policy) -> str:
    return folder(policy.origin.file) if policy.origin is not None else ""


def _annotations(metadata: Mapping[str, Any]) -> Labels:
    given = metadata.get("annotations")
    return {str(key): str(value) for key, value in given.items()} if isinstance(given, Mapping) else {}


def read(
    paths: Iterable[str],
    config: LintConfig = NO_CONFIG,
    namespace: str = "default",
    tiers: Iterable[Tier] = (),
) -> LintInput:
    """Everything in files, folders and "-", except what the configuration excludes."""
    found = LintInput(namespace, tiers=tuple(tiers))
    reader = Reader(keeps=WEBHOOKS)
    for document in (*reader.documents(list(map(str, paths)), config.excludes), *reader.unsimulated):
        found.add(document)
    for document, message in reader.removed:
        if document.kind == "NetworkPolicy":
            metadata = document.object.get("metadata") or {}
            ref = PolicyRef(str(metadata.get("namespace") or namespace), str(metadata.get("name")))
            found.refused.append(Refused(ref, "apiVersion", message, document.origin))
    found.problems += reader.problems
    found.skipped = list(reader.skipped)
    found.webhooks = [document.object for document in reader.kept]
    found.partial = bool(reader.templates or reader.overlays)
    unchecked = ", ".join(f"{number} {kind}" for kind, number in sorted(reader.not_simulated.items()))
    found.warnings = (
        *reader.warnings,
        *([f"not checked, though they decide flows: {unchecked}"] if unchecked else []),
    )
    return found


def of_suite(suite: Suite) -> View:
    """The topology of a suite, with its policies applied."""
    cluster = suite.cluster()
    annotations = {
        ref_of(record): _annotations(document.object.get("metadata") or {})
        for document, record in zip(suite.policies, suite.parsed, strict=True)
    }
    described = Known(namespaces=frozenset(cluster.namespaces if suite.topology is not None else ()))
    return View(cluster, described, annotations=annotations)


def from_objects(objects: Iterable[Mapping[str, Any]], unreadable: Iterable[str] = ()) -> LintInput:
    """The objects of a live cluster. Its policies have no file, but it is known which fields are set.

    Objects of runs of netprobe, which go away with the run, are left out.
    """
    everything = tuple(objects)
    kept = tuple(_without_runs(everything))
    found = LintInput(live=True, unreadable=tuple(unreadable))
    if left_out := len(everything) - len(kept):
        which = "1 object" if left_out == 1 else f"{left_out} objects"
        found.warnings = (f"left out: {which} of netprobe runs (label {RUN})",)
    for thing in kept:
        is_policy = kind_of(str(thing.get("apiVersion")), str(thing.get("kind"))) is NETWORK_POLICY
        places = dict.fromkeys(_paths(thing, ""), (1, 1)) if is_policy else {}
        found.add(Document(Origin("", 1, places), thing))
    return found


def _without_runs(objects: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The objects that do not have the label of a run, and are in no namespace that has it."""
    runs = {
        _metadata(obj).get("name") for obj in objects if obj.get("kind") == "Namespace" and _is_of_run(obj)
    }
    for obj in objects:
        if not (_is_of_run(obj) or _metadata(obj).get("namespace") in runs):
            yield obj


def _is_of_run(obj: Mapping[str, Any]) -> bool:
    return RUN in (_metadata(obj).get("labels") or {})


def _metadata(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = obj.get("metadata") or {}
    return found


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
    """The given file, or the nearest `.netprobe.yaml` between here and the root of the repository."""
    path = Path(given) if given else _nearest(Path.cwd())
    if path is None:
        return NO_CONFIG
    try:
        trees = list(read_yaml(path.read_text(encoding="utf-8-sig")))
    except TextError as error:
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
