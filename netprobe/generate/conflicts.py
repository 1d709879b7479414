"""Flows with different declared verdicts that no policy can tell apart."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.generate.demand import Demands, PortNumber, Refusal, RowDemand
from netprobe.generate.reader import DemandReader
from netprobe.generate.space import PodClass, Shown
from netprobe.model.flow import End, External, Flow, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import unpack


def conflicts(classes: Demands, reader: DemandReader) -> Iterator[Refusal]:
    """Pairs of classes whose pods are declared differently."""
    space = reader.space
    for port, targets in classes.items():
        for target, demanded in targets.items():
            for source in unpack(demanded.allow & demanded.deny):
                flows = []
                for verdict in (Verdict.ALLOW, Verdict.DENY):
                    part = next(
                        part
                        for part in demanded.rows
                        if part.verdict is verdict and part.sources >> source & 1
                    )
                    flows.append((part, _sample(reader, part, (source, target), port)))
                (one, allowed), (other, denied) = flows
                ends = (space.class_at.get(source), space.class_at.get(target))
                reason = _same(ends, allowed, denied)
                yield Refusal(reason, (allowed, denied), (one.row, other.row))


def _sample(reader: DemandReader, part: RowDemand, ends: tuple[int, int], port: PortNumber) -> Flow:
    """A declared flow of a row, from a pod of one class to a pod of another."""
    space, crowds, of_port = reader.space, reader.declared.crowds, reader.demands[port]
    source, target = ends
    pairs = (
        (one, other)
        for place in unpack(space.members(target))
        for own in (of_port[place].rows if place in of_port else ())
        if (own.row, own.verdict, own.toward) == (part.row, part.verdict, part.toward)
        for crowd in unpack(own.sources & space.members(source))
        for one in crowds[crowd]
        for other in crowds[own.toward]
    )
    first = next(pairs)
    # A pod and itself only if it is the only pod behind an address or a Service.
    one, other = next((ends for ends in (first, *pairs) if ends[0] != ends[1]), first)
    return reader.flow(one, other, part.port, port[1])


def _same(ends: tuple[PodClass | None, PodClass | None], allowed: Flow, denied: Flow) -> str:
    """A sentence that names the pods that no policy can tell apart."""
    pairs = ((allowed.source, denied.source), (allowed.destination, denied.destination))
    alike = [
        f"{_name(one)} and {_name(other)} of {pods.namespace} have the same labels ({_labels(pods.labels)})"
        for pods, (one, other) in zip(ends, pairs, strict=True)
        if pods is not None and one != other
    ]
    reason = " and ".join(alike) or "two rows speak about the same pods"
    return f"{reason}: no policy can allow {allowed} and deny {denied}"


def _name(end: End) -> str:
    return str(end) if isinstance(end, External | ServiceRef) else end.name


def _labels(labels: Shown) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels) or "none"
