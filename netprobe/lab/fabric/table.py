"""A table of the kernel's packet filter; the difference of two rulesets of it as one transaction of nft."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamedSet:
    """`kind` is nft's type of an element."""

    kind: str
    elements: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What is, or should be, loaded in a table besides its base: sets, chains (their rules), and the entries
    of the base's maps, keys and verdicts as nft writes them.
    """

    sets: Mapping[str, NamedSet]
    chains: Mapping[str, tuple[str, ...]]
    maps: Mapping[str, Mapping[str, str]]

    @classmethod
    def empty(cls) -> Ruleset:
        return cls({}, {}, {})


@dataclass(frozen=True, slots=True)
class NftTable:
    """`name` with its family, as "inet netprobe"; `base` makes it, with its hooks and its (empty) maps."""

    name: str
    base: str


def reload(table: NftTable, wanted: Ruleset) -> str:
    """Load everything again, whatever is loaded; established connections stay open."""
    fresh = f"add table {table.name}\ndelete table {table.name}\n{table.base}"
    return fresh + update(table, Ruleset.empty(), wanted)


def update(table: NftTable, loaded: Ruleset, wanted: Ruleset) -> str:
    """The transaction that turns `loaded` into `wanted`; "" if they are equal. Everything is created before
    it is referred to, and deleted after the last reference.
    """
    return "".join(f"{line}\n" for line in _commands(table.name, loaded, wanted))


def _commands(table: str, loaded: Ruleset, wanted: Ruleset) -> Iterator[str]:
    yield from _fill_sets(table, loaded.sets, wanted.sets)
    yield from _fill_chains(table, loaded.chains, wanted.chains)
    for name in dict.fromkeys((*loaded.maps, *wanted.maps)):
        yield from _entries(table, name, loaded.maps.get(name, {}), wanted.maps.get(name, {}))
    gone = [name for name in loaded.chains if name not in wanted.chains]
    yield from (f"flush chain {table} {name}" for name in gone)
    yield from (f"delete chain {table} {name}" for name in gone)
    yield from (f"delete set {table} {name}" for name in loaded.sets if name not in wanted.sets)


def _fill_sets(table: str, loaded: Mapping[str, NamedSet], wanted: Mapping[str, NamedSet]) -> Iterator[str]:
    for name, new in wanted.items():
        old = loaded.get(name)
        if old is None:
            yield f"add set {table} {name} {{ type {new.kind}; }}"
            old = NamedSet(new.kind, frozenset())
        if old is new:
            continue
        yield from _elements("delete", table, name, old.elements - new.elements)
        yield from _elements("add", table, name, new.elements - old.elements)


def _fill_chains(
    table: str, loaded: Mapping[str, tuple[str, ...]], wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """All chains first: a rule may jump to any of them."""
    yield from (f"add chain {table} {name}" for name in wanted if name not in loaded)
    for name, rules in wanted.items():
        if loaded.get(name) != rules:
            if name in loaded:
                yield f"flush chain {table} {name}"
            yield from (f"add rule {table} {name} {rule}" for rule in rules)


def _elements(verb: str, table: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    if listed := sorted(elements):
        yield f"{verb} element {table} {name} {{ {', '.join(listed)} }}"


def _entries(table: str, name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """An entry whose verdict changes is deleted and added again, in the same transaction."""
    yield from _elements("delete", table, name, (key for key in old if new.get(key) != old[key]))
    yield from _elements(
        "add", table, name, (f"{key} : {verdict}" for key, verdict in new.items() if old.get(key) != verdict)
    )
