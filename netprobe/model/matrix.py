"""The reachability matrix: one value per flow, in the order in which the flows were given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from netprobe.model.flow import End, Flow

T = TypeVar("T")
U = TypeVar("U")


class Matrix(Mapping[Flow, T], Generic[T]):
    """An immutable mapping of flows; iteration keeps the order of construction."""

    __slots__ = ("_cells",)

    def __init__(self, cells: Mapping[Flow, T] | Iterable[tuple[Flow, T]] = ()) -> None:
        self._cells: dict[Flow, T] = dict(cells)

    def __getitem__(self, flow: Flow) -> T:
        return self._cells[flow]

    def __iter__(self) -> Iterator[Flow]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def map(self, function: Callable[[Flow, T], U]) -> Matrix[U]:
        return Matrix((flow, function(flow, cell)) for flow, cell in self._cells.items())

    def where(self, predicate: Callable[[Flow], bool]) -> Matrix[T]:
        return Matrix((flow, cell) for flow, cell in self._cells.items() if predicate(flow))

    def sources(self) -> tuple[End, ...]:
        return tuple(dict.fromkeys(flow.source for flow in self._cells))

    def destinations(self) -> tuple[End, ...]:
        return tuple(dict.fromkeys(flow.destination for flow in self._cells))
