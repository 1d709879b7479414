"""A suite file, with the policies that it names, checked as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from netprobe.errors import InputError, Problem
from netprobe.manifests import Document, Reader, parse_policy
from netprobe.model.flow import ContainerPort, External, PodRef
from netprobe.model.policy import Policy, PolicyRef
from netprobe.suite.action import ApplyPolicies, DeletePolicies, SetMetadata, StepAction
from netprobe.suite.declaration import Declaration
from netprobe.suite.expectation import Expectation, ExpectationRow
from netprobe.suite.moments import Suite, SuiteStep
from netprobe.suite.schema import ActionSpec, ExpectSpec, PolicySource
from netprobe.suite.text import SuiteText, read_suite
from netprobe.suite.topology import Topology, duplicates, externals_of, topology_of

Ports = tuple[ContainerPort, ...]


def load(path: str | os.PathLike[str], *, policies: bool = True) -> Suite:
    """Read a suite and everything that it names. Raises InputError with all problems, each with its place.

    Rows that match nothing and steps that cannot be taken are found here in a suite with a topology. In one
    without they are found when the cluster is known (`Suite.moments`).

    Without `policies` neither they nor the steps are read: they may not be written yet.
    """
    text = read_suite(path)
    if not policies:
        text = replace(text, spec=text.spec.model_copy(update={"policies": [], "steps": []}))
    return _Loader(text).suite()


class _Loader:
    def __init__(self, text: SuiteText) -> None:
        self.text = text
        self.problems: list[Problem] = []

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
        for index, step in enumerate(spec.steps):
            path = f"steps[{index}]"
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
        """Problems that only the suite as a whole shows."""
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
        self, sources: Iterable[PolicySource], path: str, topology: Topology | None
    ) -> tuple[tuple[Document, ...], tuple[Policy, ...]]:
        documents: list[Document] = []
        found: dict[PolicyRef, Policy] = {}
        for index, source in enumerate(sources):
            reader = Reader()
            where = f"{path}[{index}]"
            for document in reader.documents([self.text.folder / source.path]):
                policy = self._policy(document, source.namespace, where, topology)
                if policy is None:
                    continue
                if (first := found.get(policy.ref)) is not None:
                    message = f"NetworkPolicy {policy.ref} is already at {first.origin}"
                    self.problems.append(document.problem("metadata.name", message))
                    continue
                found[policy.ref] = policy
                metadata = {**document.object["metadata"], "namespace": policy.ref.namespace}
                documents.append(replace(document, object={**document.object, "metadata": metadata}))
            self.problems += [
                problem if ":" in problem.place or problem.path else self.text.problem(where, str(problem))
                for problem in reader.problems
            ]
            for kind, count in reader.not_simulated.items():
                message = f"holds {count} {kind}: neither applied nor simulated"
                self.problems.append(self.text.problem(where, message))
        return tuple(documents), tuple(found.values())

    def _policy(
        self, document: Document, namespace: str | None, where: str, topology: Topology | None
    ) -> Policy | None:
        if document.kind != "NetworkPolicy":
            message = f"a suite applies NetworkPolicies only; this is a {document.kind}"
            self.problems.append(document.problem("kind", message))
            return None
        try:
            policy = parse_policy(document, namespace=namespace or "default")
        except InputError as error:
            self.problems += error.problems
            return None
        if topology is not None and policy.ref.namespace not in topology.namespaces:
            own = (document.object.get("metadata") or {}).get("namespace")
            if own or namespace:
                message = f"the topology has no namespace {policy.ref.namespace}"
            else:
                place = self.text.place(where)
                message = f"names no namespace; say which one at {place}: {{path: …, namespace: …}}"
            self.problems.append(document.problem("metadata.namespace", message))
            return None
        return policy

    def _expectation(self, spec: ExpectSpec, path: str, externals: Mapping[External, Ports]) -> Expectation:
        rows = []
        for index, row in enumerate(spec.flows):
            where = f"{path}.flows[{index}]"
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
                ref = PodRef.parse(spec.delete.networkpolicy)
                return DeletePolicies(PolicyRef(ref.namespace, ref.name), place, path)
            if change is not None:
                pod = PodRef.parse(change.pod) if change.pod is not None else None
                annotations = spec.annotate is not None
                return SetMetadata(change.changes, change.namespace, pod, annotations, place, path)
        except ValueError:
            text = spec.delete.networkpolicy if spec.delete else change.pod if change else ""
            self.problems.append(self.text.problem(path, f"{text!r} is not of the form NAMESPACE/NAME"))
        return None
