"""Reads files of cases and reports all their problems at once."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import RootModel, ValidationError

from netprobe.conformance.case import ApiRule, Case, CaseStep, identity
from netprobe.conformance.families import Families
from netprobe.conformance.schema import CaseFile, CaseSpec, MomentSpec, PolicySpec
from netprobe.conformance.world import (
    KUBELET,
    ON_HOST,
    OVER_6,
    PASSING,
    PORTS,
    Cell,
    CellScope,
    read_expectation,
)
from netprobe.errors import InputError, Problem
from netprobe.manifests import files as manifest_files
from netprobe.manifests.excerpt import Position, TextError
from netprobe.manifests.yaml_reader import read_yaml
from netprobe.model.objects import Object
from netprobe.model.text import dotted
from netprobe.policies.kinds import BY_KEY, NETWORK_POLICY, PolicyKind
from netprobe.probe.deciding import key_of

T = TypeVar("T")

HERE: Final = "netprobe/conformance"
WRITTEN: Final = ("upstream", "edges", "more", "namespaces", "nodes", "clusternetworkpolicy", "calico")
"""The files of hand-written cases, in the order of a run."""

LONGEST_VALUE: Final = "v" * 63
LONGEST_KEY: Final = ".".join(["k" * 63] * 3 + ["k" * 61]) + "/" + "n" * 63
"""A prefix of 253 characters and a name of 63: the limits of a label (apimachinery, validation.go)."""


@functools.cache
def rules() -> Mapping[str, ApiRule]:
    """The rules of docs/semantics.md by id, in the order of that page."""
    (tree,) = read_yaml(_text("rules.yaml"))
    return {row["id"]: ApiRule(**row) for row in tree.value}


@functools.cache
def builtin() -> tuple[Case, ...]:
    """All cases that come with netprobe: the hand-written ones, then the families."""
    written = [case for name in WRITTEN for case in read(_text(f"cases/{name}.yaml"), name, f"{HERE}/cases")]
    return (*written, *_families())


def load(path: str | os.PathLike[str]) -> tuple[Case, ...]:
    """The cases of a file. InputError with all problems, each with file and line."""
    file = Path(path)
    return read(text_of(path), file.stem, str(file.parent), file.suffix)


def read(text: str, stem: str, folder: str, suffix: str = ".yaml") -> tuple[Case, ...]:
    """The cases of a text; each gets the name of its file as a tag. InputError as in `load`."""
    return _CaseReader(f"{folder}/{stem}{suffix}", stem).cases(text)


def text_of(path: str | os.PathLike[str]) -> str:
    """The content of a file. InputError if it cannot be read."""
    problems: list[Problem] = []
    text = manifest_files.read(manifest_files.Source(str(path), Path(path)), problems)
    if text is None:
        raise InputError(problems)
    return text


_MESSAGES = {  # instead of pydantic's messages that name Python classes
    "extra_forbidden": "unknown field; docs/conformance.md lists the fields",
    "missing": "Required value",
    "model_type": "must be a mapping",
    "list_type": "must be a list",
}


@dataclass(slots=True)
class ListReader:
    """Reads a YAML file with a list, and collects problems, each with its line and path."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    places: Mapping[str, Position] = field(default_factory=dict)

    def entries(self, text: str, model: type[RootModel[list[T]]]) -> list[T]:
        """The list, as the model describes it; [] if the file is empty or has problems."""
        try:
            trees = [tree for tree in read_yaml(text) if tree.value is not None]
        except TextError as error:
            raise InputError([Problem(f"{self.file}:{error.line}", "", error.message)]) from error
        if not trees:
            return []
        if len(trees) > 1:
            raise InputError([Problem(self.file, "", "must be one document with a list")])
        (tree,) = trees
        self.places = tree.places
        for found in tree.duplicates():
            self.complain(found.path, "duplicate key")
        try:
            return model.model_validate(tree.value).root
        except ValidationError as error:
            for e in error.errors():
                self.complain(dotted(e["loc"]), _MESSAGES.get(e["type"], e["msg"]))
            return []

    def complain(self, path: str, message: str) -> None:
        self.problems.append(Problem(f"{self.file}:{self.line(path)}", path, message))

    def finish(self) -> None:
        """InputError if there are problems."""
        if self.problems:
            raise InputError(self.problems)

    def line(self, path: str) -> int:
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places[path][0] if path else 1


class _CaseReader(ListReader):
    def __init__(self, file: str, tag: str) -> None:
        super().__init__(file)
        self.tag = tag

    def cases(self, text: str) -> tuple[Case, ...]:
        specs = self.entries(text, CaseFile)
        found = [self._case(f"[{index}]", spec) for index, spec in enumerate(specs)]
        self.finish()
        if not found:
            raise InputError([Problem(self.file, "", "has no cases")])
        return tuple(found)

    def _case(self, path: str, spec: CaseSpec) -> Case:
        for index, rule in enumerate(spec.rules):
            if rule not in rules():
                self.complain(f"{path}.rules[{index}]", f"docs/semantics.md has no rule {rule!r}")
        for need, ends in (("host-network", ON_HOST), ("kubelet", [e for e in spec.ends if KUBELET in e])):
            if need not in spec.needs and (asked := [end for end in spec.ends if end in ends]):
                self.complain(f"{path}.ends", f"{', '.join(asked)}: the case must list {need} under `needs`")
        if OVER_6 in repr(spec.moments) and "dual-stack" not in spec.needs:
            self.complain(path, "uses an IPv6 address: the case must list dual-stack under `needs`")
        scope = CellScope(tuple(spec.ports or PORTS), tuple(spec.ends), tuple(spec.families))
        steps = [
            self._step(f"{path}.moments[{index}]", step, scope) for index, step in enumerate(spec.moments)
        ]
        first = rules().get(spec.rules[0])
        return Case(
            name=spec.case,
            rules=tuple(spec.rules),
            feature=first.feature if first else "",
            steps=tuple(steps),
            tags=frozenset({self.tag, *spec.tags, *_directions(steps), *spec.needs}),
            needs=tuple(spec.needs),
            undefined=spec.undefined,
            scope=scope,
            place=f"{self.file}:{self.line(path)}",
        )

    def _step(self, path: str, spec: MomentSpec, scope: CellScope) -> CaseStep:
        for pod in spec.pods:
            if pod not in scope.extra:
                self.complain(f"{path}.pods.{pod}", "must be one of the case's `ends`")
        there = {*spec.pods, *(pod.partition("/")[0] for pod in spec.pods)}
        try:
            expected = read_expectation(spec.expect, list(scope.cells()))
        except ValueError as error:
            self.complain(f"{path}.expect", str(error))
            expected = bool
        policies = self._policies(path, spec)
        for index, pod in enumerate(spec.remade):
            if pod not in there:
                self.complain(f"{path}.remade[{index}]", "must be one of this step's `pods`")
        if PASSING not in there:
            for index, one in enumerate(spec.policies):
                if one.namespace == PASSING:
                    self.complain(f"{path}.policies[{index}].in", "namespace v exists only with `pods` in it")
        holds = [one.replace("->", " ").split() for one in spec.holds]
        return CaseStep(
            policies,
            expected,
            _filled(spec.labels),
            _filled(spec.pods),
            frozenset(spec.remade),
            tuple(Cell(*one) for one in holds),
        )

    def _policies(self, path: str, spec: MomentSpec) -> list[Object]:
        policies: list[Object] = []
        for index, one in enumerate(spec.policies):
            kind = BY_KEY.get(one.kind)
            if kind is None or kind.read is None:
                self.complain(
                    f"{path}.policies[{index}].kind", f"netprobe does not know the kind {one.kind!r}"
                )
            elif kind.namespaced is not (one.namespace is not None):
                scope_of = "needs a namespace" if kind.namespaced else "is cluster-scoped"
                self.complain(f"{path}.policies[{index}].in", f"a {one.kind} {scope_of}")
            else:
                policies += _policies(kind, one, one.name or f"p{index}")
        if len({identity(policy) for policy in policies}) < len(policies):
            self.complain(f"{path}.policies", "two policies of one namespace have the same name")
        return policies


def _families() -> Iterator[Case]:
    (tree,) = read_yaml(_text("cases/families.yaml"))
    for member in Families(tree.value).members():
        yield Case(
            name=member.name,
            rules=member.rules,
            feature=rules()[member.rules[0]].feature,
            steps=(member.step,),
            tags=member.tags | {"families"},
            place=f"{HERE}/cases/families.yaml",
        )


def _policies(kind: PolicyKind, spec: PolicySpec, name: str) -> Iterator[Object]:
    numbers = [None] if spec.times == 1 else range(1, spec.times + 1)
    for number in numbers:
        metadata = {"name": name if number is None else f"{name}-{number}"}
        if spec.namespace is not None:
            metadata["namespace"] = spec.namespace
        yield {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": metadata,
            "spec": _filled(spec.spec, number),
        }


def _filled(value: Any, number: int | None = None) -> Any:
    """A copy with <n>, <longest key> and <longest value> replaced; "<n>" alone becomes a number."""
    match value:
        case dict():
            return {_filled(key, number): _filled(item, number) for key, item in value.items()}
        case list():
            return [_filled(item, number) for item in value]
        case "<n>" if number is not None:
            return number
        case str():
            text = value if number is None else value.replace("<n>", str(number))
            return text.replace("<longest key>", LONGEST_KEY).replace("<longest value>", LONGEST_VALUE)
        case _:
            return value


def _directions(moments: Iterable[CaseStep]) -> Iterator[str]:
    """ "ingress", "egress": the directions of the policies of a case."""
    for step in moments:
        for one in step.policies:
            if key_of(one) != NETWORK_POLICY.key:
                yield from (direction for direction in ("ingress", "egress") if one["spec"].get(direction))
                continue
            given = one["spec"].get("policyTypes") or ()  # anything else is for the API server to reject
            types = [direction.lower() for direction in ("Ingress", "Egress") if direction in given]
            yield from types or ("ingress",)
            if one["spec"].get("egress") and not types:
                yield "egress"


def _text(name: str) -> str:
    return (files("netprobe.conformance") / name).read_text(encoding="utf-8")
