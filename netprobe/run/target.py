"""Which cluster a command uses. Importing this is cheap, so that a lab can start before everything else."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

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
    """The kubeconfig of a running lab; UsageError if none has that name."""
    labs = {lab.name: str(lab.kubeconfig) for lab in list_labs()}
    if name in labs:
        return labs[name]
    near = get_close_matches(name, labs, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"there is no lab named {name}: {hint}netprobe lab up {name} starts one")
