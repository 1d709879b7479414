"""Policies of kinds that are not simulated: what they mean for a run in place.

Netprobe does not know which labels matter to them. A pod that stands in for a real one then carries all of
its labels, and the report says why. The same holds if the API server did not say whether there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from netprobe.run.cluster import OpenCluster

UNREADABLE: Final = "policies of other kinds (the API server does not say which API groups it has)"
IF_ANY: Final = "if there are some "


@dataclass(frozen=True, slots=True)
class OtherPolicies:
    """A phrase for each kind, and whether it is certain that there are such policies."""

    kinds: Mapping[str, bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there may be any."""
        return bool(self.kinds)

    def notes(self, what: str) -> Iterator[str]:
        """A sentence for each kind; `what` says what the run does about it."""
        for phrase, sure in self.kinds.items():
            yield f"{phrase}: {'' if sure else IF_ANY}they may decide flows, and are not simulated; {what}"

    @property
    def labels_because(self) -> str:
        """Why pods carry labels that no NetworkPolicy looks at."""
        return f"shadow pods carry all labels of the real ones, because of {'; '.join(self.kinds)}"


async def other_policies(cluster: OpenCluster) -> OtherPolicies:
    """Ask a cluster for them."""
    from netprobe.kube.facts import certain, other_policies  # imports the client: slow

    phrases = await other_policies(cluster.api)
    if phrases is None:
        return OtherPolicies({UNREADABLE: False})
    return OtherPolicies({phrase: certain(phrase) for phrase in phrases})
