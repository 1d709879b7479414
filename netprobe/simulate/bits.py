"""Sets of small integers as Python's big integers: bit i stands for the member i."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager


def pack(members: Iterable[int], size: int) -> int:
    """The set of some numbers below `size`; linear in `size` and in the members."""
    raw = bytearray(size // 8 + 1)
    for member in members:
        raw[member >> 3] |= 1 << (member & 7)
    return int.from_bytes(raw, "little")


def unpack(bits: int) -> Iterator[int]:
    """The members in ascending order. The text form is searched by C code, which no loop over bits equals.

    It begins at the lowest member, since most sets lie within one namespace.
    """
    lowest = (bits ^ (bits - 1)).bit_length() - 1
    text = f"{bits >> lowest:b}"[::-1]
    at = text.find("1")
    while at >= 0:
        yield lowest + at
        at = text.find("1", at + 1)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector: it would walk the whole cluster again and again while tables are built.

    Measured at 10,000 pods it takes a third of the time. Nothing made here refers back to itself.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Weights:
    """How much the members of a set weigh together.

    Weights are kept digit by digit in binary: digit k is the set of the members whose weight has bit k, so
    that a sum takes as many popcounts as the largest weight has digits.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        digits = max((weight.bit_length() for weight in weights), default=0)
        self._digits = [
            pack((i for i, weight in enumerate(weights) if weight >> digit & 1), len(weights))
            for digit in range(digits)
        ]

    def total(self, bits: int) -> int:
        return sum((bits & digit).bit_count() << place for place, digit in enumerate(self._digits))


def transposed(rows: Mapping[int, int], mask: int, size: int) -> dict[int, int]:
    """For each member of `mask` the rows that contain it: the transposed matrix of bits.

    A member that no row contains reads as 0. `size` is above the number of every row. Equal rows are
    transposed once, and a row that is mostly full is represented by its complement.
    """
    alike: dict[int, list[int]] = defaultdict(list)
    for index, row in rows.items():
        alike[row & mask].append(index)
    found: dict[int, int] = defaultdict(int)
    base, lacking = 0, defaultdict[int, int](int)
    most = mask.bit_count() // 2
    for row, members in alike.items():
        bits = pack(members, size)
        if row.bit_count() > most:
            base |= bits
            for index in unpack(mask & ~row):
                lacking[index] |= bits
        else:
            for index in unpack(row):
                found[index] |= bits
    if not base:
        return found
    return {index: (base & ~lacking.get(index, 0)) | found.get(index, 0) for index in unpack(mask)}
