"""Cases: policies, and the matrix that they must produce among the pods of world.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from netprobe.conformance.world import DEFAULT, KUBELET, PASSING, Cell, CellScope, Expected, is_own
from netprobe.errors import UsageError
from netprobe.model.objects import ReadOnlyObject
from netprobe.policies.kinds import NETWORK_POLICY
from netprobe.probe.deciding import key_of

Labels: TypeAlias = Mapping[str, Mapping[str, str]]
"""Labels added to the usual ones, by namespace ("y") or pod ("y/b")."""

Need: TypeAlias = Literal["sctp", "dual-stack", "two-nodes", "outside", "host-network", "kubelet"]


def identity(policy: ReadOnlyObject) -> tuple[str, str, str]:
    """What tells policies apart: kind, namespace ("" if it has none) and name."""
    metadata = policy["metadata"]
    return key_of(policy), metadata.get("namespace", ""), metadata["name"]


@dataclass(frozen=True, slots=True)
class ApiRule:
    """A row of docs/semantics.md. `shown` is "packet" if a probe can show it, otherwise what shows it."""

    id: str
    section: str
    feature: str
    rule: str
    source: str
    shown: str


@dataclass(frozen=True, slots=True)
class CaseStep:
    """One state of a case: the policies, labels and pods that exist, and the matrix that they must produce.

    `policies` are objects with relative names and placeholders. `pods` maps additional pods
    ("x/late") to their labels; they are created after the policies. A pod left from the previous step is
    deleted if it is not in `pods`, and deleted and created again if it is in `remade`. The namespace v is
    created before the policies, exists while it has pods, and may be in `remade` too. `holds` are
    connections that are opened before this step's change and kept open until the step ends.
    """

    policies: Sequence[ReadOnlyObject]
    expected: Expected
    labels: Labels = field(default_factory=dict)
    pods: Labels = field(default_factory=dict)
    remade: frozenset[str] = frozenset()
    holds: tuple[Cell, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the policies, other than NetworkPolicy."""
        return frozenset(map(key_of, self.policies)) - {NETWORK_POLICY.key}

    @property
    def passing(self) -> bool:
        """Whether the namespace v exists."""
        return any(pod.startswith(f"{PASSING}/") for pod in self.pods)

    def present(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells whose ends exist in this step."""
        return [cell for cell in cells if self._has(cell.source) and self._has(cell.destination)]

    def _has(self, end: str) -> bool:
        pod = end.removeprefix(KUBELET)
        return not is_own(pod) or pod in self.pods


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a cluster does or does not do.

    `name` is a unique sentence. `rules` are the ids of the rules that it shows; the first one gives its
    feature. `undefined` says why NetworkPolicy leaves the answer to the implementation: such a case is shown
    and not scored. `place` is "file:line".
    """

    name: str
    rules: tuple[str, ...]
    feature: str
    steps: tuple[CaseStep, ...]
    tags: frozenset[str] = frozenset()
    needs: tuple[Need, ...] = ()
    undefined: str | None = None
    scope: CellScope = DEFAULT
    place: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        """The policy kinds that a cluster must serve, besides NetworkPolicy."""
        return frozenset(kind for step in self.steps for kind in step.kinds)

    @property
    def keywords(self) -> frozenset[str]:
        """What --include and --exclude accept: tags, rules, and the feature ("named-ports")."""
        return self.tags | {*self.rules, self.feature.lower().replace(" ", "-")}


def select_cases(
    cases: Sequence[Case],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    only: Sequence[str] = (),
) -> tuple[Case, ...]:
    """The cases with a keyword of `include`, none of `exclude`, and a name or pattern of `only`.

    UsageError for a keyword or name that no case has, for two cases of one name, and if no case is left.
    """
    repeated = [name for name, count in Counter(case.name for case in cases).items() if count > 1]
    if repeated:
        raise UsageError(f"two cases are named {repeated[0]!r}: names must be unique")
    keywords = {word for case in cases for word in case.keywords}
    for word in (*include, *exclude):
        if word not in keywords:
            raise UsageError(
                f"no case has the tag, rule or feature {word!r}"
                f"{suggestion(word, keywords, cutoff=0.6, otherwise='`--list` shows the tags')}"
            )
    for pattern in only:
        if not any(has_name(case, pattern) for case in cases):
            names = [case.name for case in cases]
            raise UsageError(f"no case is named {pattern!r}{suggestion(pattern, names, cutoff=0.4)}")
    found = tuple(
        case
        for case in cases
        if (not include or case.keywords & set(include))
        and not case.keywords & set(exclude)
        and (not only or any(has_name(case, pattern) for pattern in only))
    )
    if not found:
        raise UsageError("no case is left: every included case is also excluded")
    return found


def has_name(case: Case, pattern: str) -> bool:
    """Whether a case has this name, or matches this pattern with a shell's wildcards."""
    return case.name == pattern or fnmatchcase(case.name, pattern)


def suggestion(
    name: str, known: Iterable[str], *, cutoff: float, otherwise: str = "`--list` shows the names"
) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or where to look."""
    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f": did you mean {near[0]!r}?" if near else f"; {otherwise}"
