"""The policies of a suite as the text of files, each with a comment that names the rows it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import InputError, NetprobeError, Problem
from netprobe.generate.declared import declared_crowds
from netprobe.generate.demand import Refusal
from netprobe.generate.generate import Generated, generate
from netprobe.generate.text import file_name, manifest
from netprobe.manifests import Reader, parse_policy
from netprobe.model.cluster import Cluster
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate import Profile
from netprobe.suite import ExpectationRow, Suite
from netprobe.suite.ends import Everybody, PodPattern


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """Manifests by the names of their files, and the number of declared flows on which they are proved."""

    texts: Mapping[str, str]
    flows: int


def generate_for(
    suite: Suite, cluster: Cluster, profile: Profile, *, dns: bool, namespace_label: str | None
) -> PolicyFiles:
    """The policies under which exactly the declared flows of a suite pass.

    `cluster` has the pods and no policies. InputError, at the rows, if no policies can do that.
    """
    expected = suite.expectation
    found = generate(
        declared_crowds(expected, cluster),
        cluster,
        denies_by_default=expected.default is Verdict.DENY,
        dns=dns,
        namespace_label=namespace_label,
        named={number: _named(row) for number, row in enumerate(expected.rows)},
        profile=profile,
    )
    if found.refusals:
        raise InputError(dict.fromkeys(_problem(one, suite) for one in found.refusals))
    rows = [_text(row) for row in expected.rows]
    texts = {file_name(made): manifest(made, rows, Path(suite.file).name) for made in found.policies}
    _check(texts, found)
    return PolicyFiles(texts, found.flows)


def _named(row: ExpectationRow) -> frozenset[Direction]:
    """The directions in which a row names its peers one by one, and not as "ns/*" or "*"."""
    ends = ((Direction.INGRESS, row.source), (Direction.EGRESS, row.destination))
    return frozenset(
        direction
        for direction, peers in ends
        if not any(isinstance(p, Everybody) or (isinstance(p, PodPattern) and p.name == "*") for p in peers)
    )


def _text(row: ExpectationRow) -> str:
    source, destination = (", ".join(map(str, end)) for end in (row.source, row.destination))
    ports = ", ".join(map(str, row.ports)) if row.ports is not None else "every declared port"
    return f"{source} -> {destination}: {ports}"


def _problem(refusal: Refusal, suite: Suite) -> Problem:
    """The refusal as a problem of the row of its first flow; the other rows are named in the text."""
    rows = [suite.expectation.rows[number] if number is not None else None for number in refusal.rows]
    sentences = [refusal.reason]
    for flow, row in zip(refusal.flows[1:], rows[1:], strict=False):
        where = f"declared at {row.place}" if row else "declared by the default"
        sentences.append(f"{flow} is {where}")
    first = rows[0] if rows else None
    if first is None:
        return Problem(suite.file, "expect.default", "; ".join(sentences))
    return Problem(first.place, first.path, "; ".join(sentences))


def _check(texts: Mapping[str, str], found: Generated) -> None:
    """Read the texts again: they must say what was proved."""
    reader = Reader()
    read = [parse_policy(document) for name, text in texts.items() for document in reader.text(name, text)]
    if reader.problems or read != [made.policy for made in found.policies]:
        raise NetprobeError("a bug in netprobe: the manifests differ from the policies that were proved")
