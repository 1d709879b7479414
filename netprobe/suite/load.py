"""A suite file, with the policies that it names, fully checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from netprobe.errors import InputError
from netprobe.manifests import Document, Reader
from netprobe.manifests.document import read_record
from netprobe.manifests.repeats import Repeats
from netprobe.model.flow import ContainerPort, External, PodRef
from netprobe.model.policy import PolicyRef
from netprobe.policies.kinds import SIMULATED, Record
from netprobe.policies.records import ref_of
from netprobe.suite.declaration import Declaration, Expectation, ExpectationRow
from netprobe.suite.moments import ApplyPolicies, DeletePolicies, SetMetadata, StepAction, Suite, SuiteStep
from netprobe.suite.prefix import Prefix, prefixed
from netprobe.suite.schema import ActionSpec, ExpectSpec, PolicySource
from netprobe.suite.text import SuiteText, read_suite
from netprobe.suite.topology import Topology, duplicates, externals_of, topology_of

Ports = tuple[ContainerPort, ...]


def load(path: str | os.PathLike[str], *, policies: bool = True, prefix: str = "") -> Suite:
    """Read a suite and everything that it names. Raises InputError with all problems, each with its place.

    Rows that match nothing and steps that cannot be taken are found here in a suite with a topology. In one
    without they are found when the cluster is known (`Suite.moments`).

    Without `policies` neither they nor the steps are read: they may not be written yet. `prefix` comes before
    the names of the suite's namespaces (see `suite.prefix`).
    """
    text, renamed = read_suite(path), Prefix()
    if prefix:
        text, renamed = prefixed(text, prefix)
    if not policies:
        text = replace(text, spec=text.spec.model_copy(update={"policies": [], "steps": []}))
    return _Loader(text, renamed).suite()


class _Loader:
    def __init__(self, text: SuiteText, prefix: Prefix) -> None:
        self.text = text
        self.prefix = prefix
        self.problems = [*text.problems]

    def suite(self) -> Suite:
        spec, text = self.text.spec, self.text
        topology = None
        externals: dict[External, Ports] = {}
        if spec.topology is not None:
            self.problems += [text.problem(path, message) for path, message in duplicates(spec.topology)]
            topology = topology_of(spec.topology, text.source) if spec.topology.namespaces else None
            externals = externals_of(spec.topology)
        documents, policies = self._policies(spec.policies, "policies", topology)
        expectation = self._expectation(spec.expect, "expect", externals)
        steps: list[SuiteStep] = []
        for path, step in text.numbered("steps", spec.steps):
            actions = [
                self._action(action, f"{path}.do[{number}]", topology)
                for number, action in enumerate(step.do)
            ]
            if step.expect is not None:
                expectation_after = self._expectation(step.expect, f"{path}.expect", externals)
            else:
                expectation_after = steps[-1].expectation if steps else expectation
            taken = tuple(action for action in actions if action is not None)
            steps.append(SuiteStep(step.name, taken, expectation_after))
        suite = Suite(
            spec.metadata.name,
            text.origin.file,
            topology,
            externals,
            documents,
            policies,
            expectation,
            tuple(steps),
        )
        self._check(suite)
        return suite

    def _check(self, suite: Suite) -> None:
        """Problems that show only in the complete suite."""
        if suite.topology is not None:
            try:
                # Policies that could not be read are missing: steps that delete them would seem wrong too.
                if not self.problems:
                    suite.moments()
                else:
                    Declaration(suite.expectation, suite.topology.cluster())
            except InputError as error:
                self.problems += error.problems
        if self.problems:
            raise InputError(self.problems)

    def _policies(
        self, sources: Sequence[PolicySource], path: str, topology: Topology | None
    ) -> tuple[tuple[Document, ...], tuple[Record, ...]]:
        documents: list[Document] = []
        found: dict[PolicyRef, Record] = {}
        repeats = Repeats()
        for where, source in self.text.numbered(path, sources):
            reader = Reader()
            for each in reader.documents([self.text.folder / source.path]):
                try:
                    document = self.prefix.document(each)
                except InputError as error:
                    self.problems += error.problems
                    continue
                record = self._record(document, source.namespace, where, topology)
                if record is None:
                    continue
                ref = ref_of(record)
                if (repeat := repeats.add(document, ref.namespace, ref.name)) is not None:
                    if not repeat.identical:
                        self.problems.append(repeat.problem)
                    continue
                found[ref] = record
                metadata = dict(document.object["metadata"])
                if ref.namespace:
                    metadata["namespace"] = ref.namespace
                documents.append(replace(document, object={**document.object, "metadata": metadata}))
            unread = dict.fromkeys((*reader.problems, *reader.templates))  # a template cannot be applied
            self.problems += [
                problem if ":" in problem.place or problem.path else self.text.problem(where, str(problem))
                for problem in unread
            ]
            for kind, count in reader.not_simulated.items():
                message = f"holds {count} {kind}: neither applied nor simulated"
                self.problems.append(self.text.problem(where, message))
        return tuple(documents), tuple(found.values())

    def _record(
        self, document: Document, namespace: str | None, where: str, topology: Topology | None
    ) -> Record | None:
        """The record of an object of a policy kind; None if there is none, with the reason in `problems`."""
        kind = document.policy_kind
        if kind is None:
            message = f"a suite applies policies, tiers and network sets; this is a {document.kind}"
            self.problems.append(document.problem("kind", message))
            return None
        record, decoder = read_record(document, namespace=namespace or self.prefix.of_name("default"))
        self.problems += document.problems(decoder.errors)
        if record is None or decoder.errors:
            if not decoder.errors:
                why = "; ".join(str(warning) for warning in decoder.warnings) or "it decides no flow of a pod"
                self.problems.append(document.problem("", f"this {document.kind} has no effect: {why}"))
            return None
        ref = ref_of(record)
        if topology is not None and kind.namespaced and ref.namespace not in topology.namespaces:
            own = (document.object.get("metadata") or {}).get("namespace")
            if own or namespace:
                message = f"the topology has no namespace {ref.namespace}"
            else:
                place = self.text.place(where)
                message = f"names no namespace; say which one at {place}: {{path: …, namespace: …}}"
            self.problems.append(document.problem("metadata.namespace", message))
            return None
        return record

    def _expectation(self, spec: ExpectSpec, path: str, externals: Mapping[External, Ports]) -> Expectation:
        rows = []
        for where, row in self.text.numbered(f"{path}.flows", spec.flows):
            ports = None if row.port is None else tuple(row.port)
            place = self.text.place(where)
            ends = tuple(row.source), tuple(row.destination)
            rows.append(ExpectationRow(*ends, ports, row.verdict, place, where))
        return Expectation(spec.default, tuple(rows), externals)

    def _action(self, spec: ActionSpec, path: str, topology: Topology | None) -> StepAction | None:
        place = self.text.place(path)
        change = spec.label or spec.annotate
        if spec.apply is not None:
            documents, policies = self._policies(spec.apply, f"{path}.apply", topology)
            return ApplyPolicies(documents, policies, place, path)
        try:
            if spec.delete is not None:
                return DeletePolicies(_deleted(spec.delete), place, path)
            if change is not None:
                pod = PodRef.parse(change.pod) if change.pod is not None else None
                annotations = spec.annotate is not None
                return SetMetadata(change.changes, change.namespace, pod, annotations, place, path)
        except ValueError:
            text = next(iter(spec.delete.values())) if spec.delete else change.pod if change else ""
            self.problems.append(self.text.problem(path, f"{text!r} is not of the form NAMESPACE/NAME"))
        return None


def _deleted(spec: Mapping[str, str]) -> PolicyRef:
    """The object that a step deletes; ValueError if its name lacks a namespace, or has one too many."""
    ((word, text),) = spec.items()
    kind = next(kind for kind in SIMULATED if kind.key.lower() == word)
    if kind.namespaced:
        ref = PodRef.parse(text)
        return PolicyRef(ref.namespace, ref.name, kind.key)
    if "/" in text:
        raise ValueError(f"{kind.kind} has no namespace")
    return PolicyRef("", text, kind.key)
