"""A suite next to namespaces of the same names: each of its own namespaces gets a prefix.

Everything that names one is rewritten: rows, steps, policies, and selectors on kubernetes.io/metadata.name.
Selectors that are text, as Calico's, may name a namespace in ways that are not understood here: then the
suite is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from netprobe.errors import InputError, UsageError
from netprobe.manifests import Document
from netprobe.model.labels import NAME_LABEL
from netprobe.suite.schema import SuiteSpec
from netprobe.suite.text import SuiteText

_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*)")
_NAMES_IN_TEXT = re.compile(r"metadata\.name|projectcalico\.org/name")
LONGEST = 63


@dataclass(frozen=True, slots=True)
class Prefix:
    """`names`: the namespaces of the suite."""

    text: str = ""
    names: frozenset[str] = frozenset()

    def of_name(self, name: str) -> str:
        """The name of a namespace; one that the suite does not make stays as it is."""
        return f"{self.text}{name}" if name in self.names else name

    def of_end(self, end: Any) -> Any:
        """`shop/web`, `svc:shop/db`, `team-*/app=web`; a list of ends; anything else stays."""
        if isinstance(end, list):
            return [self.of_end(one) for one in end]
        if not isinstance(end, str) or "/" not in end:
            return end
        namespace, slash, rest = end.partition("/")
        service = namespace.startswith("svc:")
        pattern = namespace.removeprefix("svc:")
        hit = pattern != "*" and any(fnmatchcase(name, pattern) for name in self.names)
        return f"{'svc:' * service}{self.text * hit}{pattern}{slash}{rest}"

    def document(self, document: Document) -> Document:
        """InputError if a selector is text that may name a namespace."""
        if not self.text:
            return document
        obj = self._rewritten(document, dict(document.object), "")
        metadata = dict(obj.get("metadata") or {})
        namespace = metadata.get("namespace")
        if isinstance(namespace, str):
            metadata["namespace"] = self.of_name(namespace)
        return replace(document, object={**obj, "metadata": metadata})

    def _rewritten(self, document: Document, value: Any, path: str) -> Any:
        if isinstance(value, list):
            return [self._rewritten(document, one, f"{path}[{i}]") for i, one in enumerate(value)]
        if isinstance(value, str):
            if _NAMES_IN_TEXT.search(value):
                why = f"--namespace-prefix cannot rewrite the namespaces in {value!r}"
                raise InputError([document.problem(path, why)])
            return value
        if not isinstance(value, Mapping):
            return value
        if value.get("key") == NAME_LABEL and isinstance(value.get("values"), list):
            return {
                **value,
                "values": [self.of_name(one) if isinstance(one, str) else one for one in value["values"]],
            }
        return {
            key: self.of_name(one)
            if key == NAME_LABEL and isinstance(one, str)
            else self._rewritten(document, one, f"{path}.{key}" if path else str(key))
            for key, one in value.items()
        }


def prefixed(text: SuiteText, prefix: str) -> tuple[SuiteText, Prefix]:
    """The suite with other names. UsageError for a prefix that makes no names, or without a topology."""
    topology = text.spec.topology
    if topology is None or not topology.namespaces:
        raise UsageError(
            "--namespace-prefix renames namespaces that a suite creates: this one has no topology"
        )
    names = frozenset(each.name for each in topology.namespaces)
    longest = max(names, key=len)
    if not _PREFIX.fullmatch(prefix) or len(prefix) + len(longest) > LONGEST:
        raise UsageError(
            f"--namespace-prefix {prefix}: lower case letters, digits and -, and at most "
            f"{LONGEST - len(longest)} of them, as {longest!r} follows"
        )
    change = Prefix(prefix, names)
    return replace(text, spec=SuiteSpec.model_validate(_suite(change, dict(text.source.object)))), change


def _suite(change: Prefix, suite: dict[str, Any]) -> dict[str, Any]:
    topology = suite["topology"]
    namespaces = [{**each, "name": change.of_name(each["name"])} for each in topology["namespaces"]]
    return {
        **suite,
        "topology": {**topology, "namespaces": namespaces},
        "policies": [_source(change, one) for one in suite.get("policies") or []],
        "expect": _expect(change, suite["expect"]),
        "steps": [_step(change, one) for one in suite.get("steps") or []],
    }


def _source(change: Prefix, source: Any) -> Any:
    if isinstance(source, dict) and "namespace" in source:
        return {**source, "namespace": change.of_name(source["namespace"])}
    return source


def _expect(change: Prefix, expect: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {**row, "from": change.of_end(row["from"]), "to": change.of_end(row["to"])}
        for row in expect.get("flows") or []
    ]
    return {**expect, **({"flows": rows} if "flows" in expect else {})}


def _step(change: Prefix, step: dict[str, Any]) -> dict[str, Any]:
    found = {**step, "do": [_action(change, one) for one in step["do"]]}
    return found | ({"expect": _expect(change, step["expect"])} if step.get("expect") else {})


def _action(change: Prefix, action: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for verb, value in action.items():
        if verb == "apply":
            found[verb] = [_source(change, one) for one in value]
        elif verb == "delete":
            found[verb] = {kind: change.of_end(name) for kind, name in value.items()}
        else:
            names = {"namespace": change.of_name, "pod": change.of_end}
            found[verb] = {key: names[key](one) if key in names else one for key, one in value.items()}
    return found
