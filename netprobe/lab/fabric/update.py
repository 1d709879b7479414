"""The difference between two rulesets, as one transaction of nft."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netprobe.lab.fabric.ruleset import BASE, TABLE, NamedSet, Ruleset


def reload(wanted: Ruleset) -> str:
    """Load everything anew, whatever is loaded; connections that are established stay so."""
    return f"add table {TABLE}\ndelete table {TABLE}\n{BASE}" + update(Ruleset.empty(), wanted)


def update(loaded: Ruleset, wanted: Ruleset) -> str:
    """What turns `loaded` into `wanted`; "" where nothing does. Things are made before they are referred to,
    and taken away after the last reference.
    """
    return "".join(f"{line}\n" for line in _commands(loaded, wanted))


def _commands(loaded: Ruleset, wanted: Ruleset) -> Iterator[str]:
    yield from _fill_sets(loaded.sets, wanted.sets)
    yield from _fill_chains(loaded.chains, wanted.chains)
    for name, entries in wanted.maps.items():
        yield from _entries(name, loaded.maps[name], entries)
    gone = [name for name in loaded.chains if name not in wanted.chains]
    yield from (f"flush chain {TABLE} {name}" for name in gone)
    yield from (f"delete chain {TABLE} {name}" for name in gone)
    yield from (f"delete set {TABLE} {name}" for name in loaded.sets if name not in wanted.sets)


def _fill_sets(loaded: Mapping[str, NamedSet], wanted: Mapping[str, NamedSet]) -> Iterator[str]:
    for name, new in wanted.items():
        old = loaded.get(name)
        if old is None:
            yield f"add set {TABLE} {name} {{ type {new.kind}; }}"
            old = NamedSet(new.kind, frozenset())
        yield from _elements("delete", name, old.elements - new.elements)
        yield from _elements("add", name, new.elements - old.elements)


def _fill_chains(
    loaded: Mapping[str, tuple[str, ...]], wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """All chains first: a rule may jump to any of them."""
    yield from (f"add chain {TABLE} {name}" for name in wanted if name not in loaded)
    for name, rules in wanted.items():
        if loaded.get(name) != rules:
            if name in loaded:
                yield f"flush chain {TABLE} {name}"
            yield from (f"add rule {TABLE} {name} {rule}" for rule in rules)


def _elements(verb: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    if listed := sorted(elements):
        yield f"{verb} element {TABLE} {name} {{ {', '.join(listed)} }}"


def _entries(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """A link always leads to the chain named after it, so an entry comes or goes and never changes."""
    yield from _elements("delete", name, (f'"{link}"' for link in old if link not in new))
    yield from _elements(
        "add", name, (f'"{link}" : jump {chain}' for link, chain in new.items() if link not in old)
    )
