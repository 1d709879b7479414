"""Which cluster a command uses. Importing this is cheap, so that a lab can start before everything else."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.errors import UsageError
from netprobe.lab import list_labs


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """Which cluster to use. Without kubeconfig, context and lab name it is a lab for this run alone.

    `current`: the current context of the kubeconfig, as in a kubectl plugin.
    """

    kubeconfig: str | None = None
    context: str | None = None
    current: bool = False
    lab: str | None = None

    @property
    def is_ephemeral_lab(self) -> bool:
        return not (self.kubeconfig or self.context or self.current or self.lab)


def kubeconfig_of(name: str) -> str:
    """The kubeconfig of a running lab; UsageError if there is none of that name."""
    for lab in list_labs():
        if lab.name == name:
            return str(lab.kubeconfig)
    raise UsageError(f"there is no lab named {name}: netprobe lab up {name} starts one")
