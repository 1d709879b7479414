"""The options of a lab."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from netprobe.errors import UsageError

IPFamily: TypeAlias = Literal["ipv4", "ipv6"]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_MAX_NODES = 200  # the third byte of 10.244.i.0/24, with room to spare
_MAX_LAG_S = 60.0


@dataclass(frozen=True, slots=True)
class LabOptions:
    """The lab's size and its faults on demand.

    `enforce` False: policies are accepted and every packet passes, as with a CNI that enforces nothing.
    `lag_s`: each change of the rules takes effect that much later, in order.
    `deny_with`: drop, as Calico does, or reject, as kube-router does.
    UsageError if the values are out of range.
    """

    name: str = "default"
    nodes: int = 1
    ip_families: tuple[IPFamily, ...] = ("ipv4",)
    enforce: bool = True
    lag_s: float = 0.0
    deny_with: Literal["drop", "reject"] = "drop"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} is not a lab name: use up to 40 lower-case letters, digits and inner dashes"
            )
        if not 1 <= self.nodes <= _MAX_NODES:
            raise UsageError(f"a lab has 1 to {_MAX_NODES} nodes, not {self.nodes}")
        if not self.ip_families or set(self.ip_families) - {"ipv4", "ipv6"}:
            raise UsageError("the address families of a lab are ipv4, ipv6, or both")
        if len(set(self.ip_families)) != len(self.ip_families):
            raise UsageError("an address family of the lab is named twice")
        if not 0 <= self.lag_s <= _MAX_LAG_S:
            raise UsageError(
                f"the lag of a lab's enforcement is 0 to {_MAX_LAG_S:g} seconds, not {self.lag_s:g}"
            )
        if self.deny_with not in {"drop", "reject"}:
            raise UsageError(f"a lab denies with drop or reject, not {self.deny_with}")

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LabOptions:
        fields = json.loads(text)
        fields["ip_families"] = tuple(fields["ip_families"])
        return cls(**fields)
