"""Labels that a controller chooses, such as hashes: which verdicts depend on them.

A manifest of a Deployment does not say which `pod-template-hash` its pods will have. For a policy that
selects by it, every value that policies mention is tried, and a value that none of them mentions. If the
verdicts differ, nobody can tell from manifests.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Family, Flow, PodRef, Protocol
from netprobe.model.labels import CHOSEN_LATER, may_be
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict, together
from netprobe.simulate.bits import transposed
from netprobe.simulate.endpoint import Directory, Endpoint
from netprobe.simulate.groups import Member
from netprobe.simulate.matrix import Evaluation, evaluate
from netprobe.simulate.profile import Profile
from netprobe.simulate.side import Sides
from netprobe.simulate.vocabulary import Vocabulary

Value = tuple[str, str]
"""A label that policies mention: key and value."""


class ChosenLabels:
    """Judges flows of pods with such labels again, for each value that the labels may have."""

    def __init__(self, cluster: Cluster, profile: Profile) -> None:
        self._cluster = cluster
        self._profile = profile
        self._worlds: dict[Value, tuple[Directory, Sides]] = {}

    @cached_property
    def _values(self) -> dict[PodRef, tuple[Value, ...]]:
        return _values(self._cluster)

    def doubt(
        self, flow: Flow, source: Endpoint, destination: Endpoint, family: Family | None, verdict: Verdict
    ) -> str | None:
        """Why the verdict on a flow is unknown; None if it is the same for all values."""
        if not self._values or verdict is Verdict.UNKNOWN:
            return None
        for sent in self._ends(source):
            for received in self._ends(destination):
                if self._verdict(flow, sent, received, family) is not verdict:
                    return (
                        "cannot be decided from manifests: a policy selects by "
                        f"{(sent[0] or received[0] or ('', ''))[0]}, whose value a controller chooses"
                    )
        return None

    def _ends(self, end: Endpoint) -> list[tuple[Value | None, Endpoint]]:
        """An end as it is, and with each value of its labels."""
        found: list[tuple[Value | None, Endpoint]] = [(None, end)]
        for value in self._values.get(end.pod.ref, ()) if end.pod is not None else ():
            directory, _ = self._world(value)
            assert end.pod is not None  # noqa: S101 (checked above)
            found.append((value, directory.pod(end.pod.ref)))
        return found

    def _verdict(
        self,
        flow: Flow,
        source: tuple[Value | None, Endpoint],
        destination: tuple[Value | None, Endpoint],
        family: Family | None,
    ) -> Verdict:
        (leaving, one), (arriving, other) = source, destination
        egress = self._world(leaving)[1].judge(Direction.EGRESS, one, other, flow, family)
        ingress = self._world(arriving)[1].judge(Direction.INGRESS, other, one, flow, family)
        return together(egress.verdict, ingress.verdict)

    def _world(self, value: Value | None) -> tuple[Directory, Sides]:
        """The cluster if all labels of that key that are not known have the value; None: one of no policy."""
        key, chosen = value or ("", "")
        if (key, chosen) not in self._worlds:
            pods = {
                ref: replace(pod, labels={**pod.labels, key: chosen})
                if key in pod.labels and may_be(pod.labels[key], chosen)
                else pod
                for ref, pod in self._cluster.pods.items()
            }
            cluster = replace(self._cluster, pods=pods)
            directory = Directory(cluster)
            self._worlds[key, chosen] = directory, Sides(cluster, self._profile, directory)
        return self._worlds[key, chosen]


class ChosenPairs:
    """The same for all pairs of an evaluation at once.

    A pod with such labels gets a twin for each value that they may have. A verdict is known if it is the
    same for the pod and its twins.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self._groups = evaluation.groups
        cluster = evaluation.cluster
        values = _values(cluster)
        self._twins: dict[int, list[PodRef]] = {}
        pods = dict(cluster.pods)
        for each in evaluation.groups if values else ():
            first = each.members[0]
            if isinstance(first, External):
                continue
            for key, value in values.get(first, ()):
                twin = replace(
                    pods[first],
                    ref=PodRef(first.namespace, f"{first.name} {key}={value}"),
                    labels={**pods[first].labels, key: value},
                )
                pods[twin.ref] = twin
                self._twins.setdefault(each.index, []).append(twin.ref)
        self._evaluation: Evaluation | None = None
        if self._twins:
            self._evaluation = evaluate(replace(cluster, pods=pods), evaluation.universe.profile)

    def sources(self, port: int, protocol: Protocol, family: Family | None) -> dict[int, int]:
        """For each destination group the source groups that may or may not reach it."""
        if self._evaluation is None:
            return {}
        table = self._evaluation.table(port, protocol, family)
        size = len(self._evaluation.groups)
        rows = {index: table.reached(index) for index in range(size)}
        columns = transposed(rows, (1 << size) - 1, size)
        places: dict[int, set[int]] = {}
        for each in self._groups:
            if each.external:
                continue
            ends = (each.members[0], *self._twins.get(each.index, ()))
            # A twin that reaches the same, and that the same reach, is no other case.
            cases = {(rows[i], columns.get(i)): i for i in map(self._place, ends)}
            places[each.index] = set(cases.values())
        several = {index for index, indexes in places.items() if len(indexes) > 1}
        found: dict[int, int] = {}
        for source, starts in places.items():
            for destination in places if source in several else several:
                reached = {rows[one] >> other & 1 for one in starts for other in places[destination]}
                if len(reached) > 1:
                    found[destination] = found.get(destination, 0) | 1 << source
        return found

    def _place(self, end: Member) -> int:
        assert self._evaluation is not None  # noqa: S101 (the caller has checked)
        return self._evaluation.group_of(end).index


def _values(cluster: Cluster) -> dict[PodRef, tuple[Value, ...]]:
    """The values that matter, of each pod that has a label for them."""
    pods = [pod for pod in cluster.pods.values() if any(map(_is_chosen, pod.labels.values()))]
    words = Vocabulary(cluster) if pods else None
    found = {}
    for pod in pods:
        assert words is not None  # noqa: S101 (there are pods)
        values = tuple(
            (key, value)
            for key, label in pod.labels.items()
            if _is_chosen(label)
            for value in words.values(pod.ref.namespace, key)
            if may_be(label, value)
        )
        if values:
            found[pod.ref] = values
    return found


def _is_chosen(value: str) -> bool:
    return value.startswith(CHOSEN_LATER)
