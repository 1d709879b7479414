"""Files of cases: their format, and reading them with all problems at once.

docs/conformance.schema.json is generated from the models.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints, ValidationError

from netprobe.conformance import world
from netprobe.conformance.case import ApiRule, Case, CaseStep, identity
from netprobe.conformance.families import Families
from netprobe.conformance.world import Cell, CellScope
from netprobe.errors import InputError, Problem
from netprobe.manifests import files as manifest_files
from netprobe.manifests.excerpt import TextError
from netprobe.manifests.yaml_reader import read_yaml
from netprobe.model.objects import Object
from netprobe.model.policy import Origin
from netprobe.model.text import dotted
from netprobe.policies.kinds import BY_KEY, NETWORK_POLICY, PolicyKind
from netprobe.probe.deciding import key_of

Pod = Annotated[str, StringConstraints(pattern=r"^[vxyz]/[a-z0-9]+$")]
Remade = Annotated[str, StringConstraints(pattern=r"^(v|[vxyz]/[a-z0-9]+)$")]
Held = Annotated[str, StringConstraints(pattern=r"^[xyz]/[abc] -> [xyz]/[abc] [0-9]+/TCP$")]
End = Annotated[str, StringConstraints(pattern=r"^((node:)?[vxyz]/[a-z0-9]+|svc:y/web|out:(near|far))$")]
Port = Annotated[str, StringConstraints(pattern=r"^[0-9]+/(TCP|UDP|SCTP)$")]
NeedName = Literal["sctp", "dual-stack", "two-nodes", "outside", "host-network", "kubelet"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicySpec(_Strict):
    """A policy of a case. The same name in several moments means one policy that changes."""

    kind: str = Field(
        "NetworkPolicy",
        description=(
            "Its kind; with its group if the name alone is ambiguous: ClusterNetworkPolicy, Tier, "
            "NetworkPolicy.projectcalico.org. A cluster that does not serve it skips the case. The "
            "subject of a cluster-scoped policy is limited to the case's namespaces."
        ),
    )
    namespace: Literal["v", "w", "x", "y", "z"] | None = Field(
        None, alias="in", description="Its namespace; none for a cluster-scoped kind."
    )
    name: str | None = Field(None, description="Its name; by default its number among the moment's policies.")
    times: int = Field(
        1, ge=1, le=500, description="Number of copies; <n> in the spec is the number of the copy, from 1."
    )
    spec: dict[str, Any] = Field(
        description=(
            "The spec of the API object. A cidr may be <x/a> (the address of that pod), <pods> (the smallest "
            "network that contains all nine), <pods by x/a> (the same, with that pod's host bits), or "
            "<out:near>; <x/a over IPv6> is the pod's IPv6 address. <longest key> and <longest value> are a "
            "label of the maximum length."
        )
    )


class MomentSpec(_Strict):
    """One state: all policies, labels in addition to the usual ones, and the whole expected matrix."""

    policies: list[PolicySpec]
    labels: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="By namespace (y) or pod (y/b)."
    )
    pods: dict[Pod, dict[str, str]] = Field(
        default_factory=dict,
        description=(
            "Pods besides the nine, with these labels besides pod=NAME; created after the policies. "
            "x/near and x/far are hostNetwork pods on the nodes of x/a and x/b."
        ),
    )
    remade: list[Remade] = Field(
        default_factory=list,
        description="Some of `pods`, or the namespace v, that exist and are deleted and created again.",
    )
    holds: list[Held] = Field(
        default_factory=list,
        description="Connections, such as x/b -> x/a 80/TCP, opened before this change and kept open.",
    )
    expect: str = Field(
        description=(
            "Rows SOURCE -> DESTINATION [PORT] MARK, X for denied and . for allowed, with shell wildcards. "
            "The last row that matches a flow decides; a flow without a row is allowed."
        )
    )


class CaseSpec(_Strict):
    """One case: a sentence, the rules of docs/semantics.md that it shows, and its moments in order."""

    case: str = Field(description="A unique sentence that is true of a correct cluster.")
    rules: list[str] = Field(min_length=1, description="Ids of rules; the first one gives the feature.")
    tags: list[str] = Field(default_factory=list)
    needs: list[NeedName] = Field(
        default_factory=list, description="The case is skipped if the cluster lacks one of these."
    )
    undefined: str | None = Field(
        None, description="Why the result is implementation-defined: the case is shown and not scored."
    )
    ports: list[Port] | None = Field(None, description="The ports to probe; 80 and 81 by default.")
    ends: list[End] = Field(default_factory=list, description="Ends besides the nine pods.")
    families: list[Literal[4, 6]] = Field(
        default_factory=list, description="Probe each family separately: ports become 80/TCP/4."
    )
    moments: list[MomentSpec] = Field(min_length=1)


class CaseFile(RootModel[list[CaseSpec]]):
    """Cases for `netprobe conformance`: see docs/conformance.md."""


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
    origin: Origin = field(default_factory=lambda: Origin("", 1))

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
        self.origin = Origin(self.file, 1, tree.places)
        for found in tree.duplicates():
            self.complain(found.path, "duplicate key")
        try:
            return model.model_validate(tree.value).root
        except ValidationError as error:
            for e in error.errors():
                self.complain(dotted(e["loc"]), _MESSAGES.get(e["type"], e["msg"]))
            return []

    def complain(self, path: str, message: str) -> None:
        self.problems.append(Problem(f"{self.file}:{self.origin.at(path)[0]}", path, message))

    def finish(self) -> None:
        """InputError if there are problems."""
        if self.problems:
            raise InputError(self.problems)


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
        for need, ends in (
            ("host-network", world.ON_HOST),
            ("kubelet", [e for e in spec.ends if world.KUBELET in e]),
        ):
            if need not in spec.needs and (asked := [end for end in spec.ends if end in ends]):
                self.complain(f"{path}.ends", f"{', '.join(asked)}: the case must list {need} under `needs`")
        if world.OVER_6 in repr(spec.moments) and "dual-stack" not in spec.needs:
            self.complain(path, "uses an IPv6 address: the case must list dual-stack under `needs`")
        scope = CellScope(tuple(spec.ports or world.PORTS), tuple(spec.ends), tuple(spec.families))
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
            place=f"{self.file}:{self.origin.at(path)[0]}",
        )

    def _step(self, path: str, spec: MomentSpec, scope: CellScope) -> CaseStep:
        for pod in spec.pods:
            if pod not in scope.extra:
                self.complain(f"{path}.pods.{pod}", "must be one of the case's `ends`")
        there = {*spec.pods, *(pod.partition("/")[0] for pod in spec.pods)}
        try:
            expected = world.read_expectation(spec.expect, list(scope.cells()))
        except ValueError as error:
            self.complain(f"{path}.expect", str(error))
            expected = bool
        policies = self._policies(path, spec)
        for index, pod in enumerate(spec.remade):
            if pod not in there:
                self.complain(f"{path}.remade[{index}]", "must be one of this step's `pods`")
        if world.PASSING not in there:
            for index, one in enumerate(spec.policies):
                if one.namespace == world.PASSING:
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
