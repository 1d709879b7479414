"""Deltas of many sources on many ports, put together in as few bundles as it takes.

Sources with the same delta share a bundle; so do destinations whose ports change alike. The same changes can
be told source by source or destination by destination: the shorter telling is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from netprobe.impact.delta import Delta, Deltas
from netprobe.impact.port import Asked, Ports
from netprobe.impact.states import States
from netprobe.model.flow import Family
from netprobe.simulate.bits import pack

MOST_SPLIT = 1_000_000  # set operations: above that only one of the two tellings is made


class Kind(Enum):
    OPENS = "opens"
    CLOSES = "closes"
    REASON = "reason"


class Scope(Enum):
    """Where the two ends of a flow are, seen from the destination."""

    FROM_OUTSIDE = "from outside the cluster"
    ACROSS = "from another namespace"
    TO_OUTSIDE = "to outside the cluster"
    WITHIN = "within a namespace"
    INSIDE = "within the cluster"  # either of the two, where it makes no difference


@dataclass(frozen=True, slots=True)
class Key:
    """What the flows of a bundle have in common. `ports` None: each port that the destination is asked on."""

    kind: Kind
    scope: Scope
    family: Family | None
    ports: tuple[Asked, ...] | None


@dataclass(frozen=True, slots=True)
class Raw:
    """A bundle as bits: each of `sources` to each of `destinations`, but none to itself."""

    key: Key
    sources: int
    destinations: int


Signature: TypeAlias = tuple[Delta, ...]


def bundles(states: States, ports: Ports) -> list[Raw]:
    """All that differs between the states."""
    classes: dict[tuple[object, ...], list[Asked]] = defaultdict(list)
    for port in sorted(frozenset().union(*states.asked), key=lambda p: (p[0], p[1].value)):
        classes[ports.class_of(port)].append(port)
    asking = {
        port: pack((i for i, asked in enumerate(states.asked) if port in asked), len(states.groups))
        for alike in classes.values()
        for port in alike
    }
    deltas = Deltas(states)
    by_family: list[dict[int, dict[Family | None, Delta]]] = [
        _families(states, deltas, alike[0]) for alike in classes.values()
    ]
    raws: list[Raw] = []
    for family in dict.fromkeys((*states.families, None)):
        columns = [{s: d[family] for s, d in found.items() if family in d} for found in by_family]
        raws += _by_source(states, family, list(classes.values()), asking, columns)
    return _shorter(raws)


def _families(states: States, deltas: Deltas, port: Asked) -> dict[int, dict[Family | None, Delta]]:
    """For each source its delta by family; None for what holds in every family that a pair has."""
    if len(states.families) == 1:
        return {source: {None: delta} for source, delta in deltas.at(port, states.families[0]).items()}
    (one, other) = states.families
    first, second = deltas.at(port, one), deltas.at(port, other)
    speaks = {family: states.speaking(family) for family in (one, other)}
    found: dict[int, dict[Family | None, Delta]] = {}
    nothing = Delta()
    for source in sorted({*first, *second}):
        a, b = first.get(source, nothing), second.get(source, nothing)
        in_a, in_b = (bits if bits >> source & 1 else 0 for bits in (speaks[one], speaks[other]))
        whole = a.both(b) | (a & ~in_b) | (b & ~in_a)
        parts = {None: whole, one: _without(a, whole), other: _without(b, whole)}
        found[source] = {family: delta for family, delta in parts.items() if delta}
    return found


def _without(delta: Delta, other: Delta) -> Delta:
    return Delta(delta.opens & ~other.opens, delta.closes & ~other.closes, delta.reasons & ~other.reasons)


def _by_source(
    states: States,
    family: Family | None,
    classes: list[list[Asked]],
    asking: Mapping[Asked, int],
    columns: list[dict[int, Delta]],
) -> Iterator[Raw]:
    """Sources with the same deltas together; then for each kind and scope the destinations by their ports."""
    nothing = Delta()
    alike: dict[Signature, list[int]] = defaultdict(list)
    for source in sorted({source for column in columns for source in column}):
        alike[tuple(column.get(source, nothing) for column in columns)].append(source)
    found: dict[tuple[Key, int], int] = defaultdict(int)
    for signature, members in alike.items():
        for kind in Kind:
            bits = [_of_kind(delta, kind) for delta in signature]
            whole = 0
            for one in bits:
                whole |= one
            for scope, sources, mask in _scopes(states, kind, members, whole):
                for ports, destinations in _by_ports(classes, asking, [one & mask for one in bits]):
                    found[Key(kind, scope, family, ports), destinations] |= sources
    for (key, destinations), sources in found.items():
        yield Raw(key, sources, destinations)


def _of_kind(delta: Delta, kind: Kind) -> int:
    return {Kind.OPENS: delta.opens, Kind.CLOSES: delta.closes, Kind.REASON: delta.reasons}[kind]


def _scopes(states: States, kind: Kind, members: list[int], whole: int) -> Iterator[tuple[Scope, int, int]]:
    """(scope, sources, destinations) of what these sources have in common; both as bits."""
    size = len(states.groups)
    outside = [index for index in members if states.outside >> index & 1]
    inside = [index for index in members if not states.outside >> index & 1]
    if outside and whole & states.ordinary:
        yield Scope.FROM_OUTSIDE, pack(outside, size), states.ordinary
    if inside and whole & states.outside:
        yield Scope.TO_OUTSIDE, pack(inside, size), states.outside
    if not (inside and whole & states.ordinary):
        return
    if kind is not Kind.OPENS:
        yield Scope.INSIDE, pack(inside, size), states.ordinary
        return
    by_namespace: dict[str, list[int]] = defaultdict(list)
    for index in inside:
        by_namespace[states.groups[index].namespace or ""].append(index)
    for name, indexes in by_namespace.items():
        own = states.namespace(name)
        if whole & own:
            yield Scope.WITHIN, pack(indexes, size), own
        if whole & states.ordinary & ~own:
            yield Scope.ACROSS, pack(indexes, size), states.ordinary & ~own


def _by_ports(
    classes: list[list[Asked]], asking: Mapping[Asked, int], bits: list[int]
) -> Iterator[tuple[tuple[Asked, ...] | None, int]]:
    """The destinations by the ports that change; None for those of which every port does."""
    changing = lacking = 0
    for alike, changed in zip(classes, bits, strict=True):
        for port in alike:
            changing |= asking[port] & changed
            lacking |= asking[port] & ~changed
    if whole := changing & ~lacking:
        yield None, whole
    partly = changing & lacking
    if not partly:
        return
    by_port = {
        port: changed & asking[port] & partly
        for alike, changed in zip(classes, bits, strict=True)
        for port in alike
    }
    groups: dict[tuple[Asked, ...], int] = {(): partly}
    for port, changed in by_port.items():  # split by each port; there are as many parts as combinations
        if changed:
            with_it = {(*asked, port): members & changed for asked, members in groups.items()}
            without = {asked: members & ~changed for asked, members in groups.items()}
            groups = {asked: members for asked, members in {**without, **with_it}.items() if members}
    yield from groups.items()


def _shorter(raws: list[Raw]) -> list[Raw]:
    """For each key the shorter telling: as it is, or destination by destination."""
    by_key: dict[Key, list[Raw]] = defaultdict(list)
    for raw in raws:
        by_key[raw.key].append(raw)
    found: list[Raw] = []
    for key, told in by_key.items():
        other = _by_destination(key, told) if len(told) > 1 else None
        found += other if other is not None and len(other) < len(told) else told
    return found


def _by_destination(key: Key, told: Sequence[Raw]) -> list[Raw] | None:
    """One bundle for all destinations that the same bundles of `told` hold; None where that is no shorter.

    A source is in one bundle of a key at most, so each part of the destinations has sources of its own, and
    their number only grows while they are split: most tellings that are no shorter are given up early.
    """
    parts: dict[int, int] = {}  # destinations -> sources
    left = MOST_SPLIT
    for raw in told:
        left -= len(parts)
        new = raw.destinations
        split: dict[int, int] = {}
        for destinations, sources in parts.items():
            shared = destinations & new
            if not shared:
                split[destinations] = sources
                continue
            new &= ~shared
            split[shared] = sources | raw.sources
            if rest := destinations & ~shared:
                split[rest] = sources
        if new:
            split[new] = raw.sources
        parts = split
        if len(parts) >= len(told) or left < 0:
            return None
    return [Raw(key, sources, destinations) for destinations, sources in parts.items()]
