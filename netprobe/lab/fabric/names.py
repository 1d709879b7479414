"""The cluster's DNS as the listeners use it: the zone of the newest state, made when somebody asks."""

from __future__ import annotations

from netprobe.lab.fabric.state import NetworkState
from netprobe.lab.fabric.zone import Zone


class Names:
    """Set `state` as often as things change; `respond` answers for the newest."""

    def __init__(self) -> None:
        self.state = NetworkState({}, {}, [])
        self._zone: tuple[NetworkState, Zone] | None = None

    def respond(self, question: bytes, datagram: bool) -> bytes | None:
        """Implements listeners.Respond."""
        from netprobe.lab.fabric import nameserver  # costs a tenth of a second, and many labs are never asked

        if self._zone is None or self._zone[0] is not self.state:
            self._zone = self.state, Zone(self.state)
        return nameserver.respond(question, self._zone[1], datagram=datagram)
