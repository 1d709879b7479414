"""A table of the kernel's packet filter: its fixed base, and the part that is made from a state."""

from __future__ import annotations

from collections.abc import Mapping
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
