"""The ports that a row asks for: numbers, names, and every one that a destination declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netprobe.model.flow import ContainerPort, Protocol
from netprobe.policies import names


@dataclass(frozen=True, slots=True)
class PortAsk:
    """A number, which is TCP where no protocol is given, or a name, which has the protocol it is declared
    with.
    """

    port: int | str
    protocol: Protocol | None = None

    def on(self, declared: Iterable[ContainerPort]) -> Iterator[tuple[int, Protocol]]:
        """The ports that this means on a destination; a number is one whether declared or not."""
        if isinstance(self.port, int):
            yield self.port, self.protocol or Protocol.TCP
            return
        for port in declared:
            if port.name == self.port and self.protocol in (None, port.protocol):
                yield port.number, port.protocol

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol.value}" if self.protocol else str(self.port)


def parse_ask(value: Any) -> PortAsk:
    """Read 80, "80", "53/UDP", "metrics" or "metrics/TCP"; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _number(value, None)
    if not isinstance(value, str):
        raise ValueError("must be a port's number or name, such as 80, 53/UDP or metrics")  # noqa: TRY004
    port, slash, word = value.partition("/")
    protocol = None
    if slash:
        if word.upper() not in Protocol.__members__:
            raise ValueError(f"{word!r} is no protocol: TCP, UDP or SCTP")
        protocol = Protocol[word.upper()]
    if port.isascii() and port.isdigit():
        return _number(int(port), protocol)
    if problems := names.port_name(port):
        raise ValueError(f"{port!r} is no port: {'; '.join(problems)}")
    return PortAsk(port, protocol)


def _number(port: int, protocol: Protocol | None) -> PortAsk:
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is no port: must be between 1 and 65535")
    return PortAsk(port, protocol)
