"""Where a run takes place, and how: what all modes of a run have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.lab import LabOptions, Starting
from netprobe.model.flow import Family
from netprobe.probe import Deadlines, Pace, PodOptions
from netprobe.run.moment import FlowFilter
from netprobe.run.target import ClusterChoice
from netprobe.simulate import CALICO, Profile

Progress: TypeAlias = Callable[[str], None]
"""Takes what is being done, in a few words."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The cluster, the probe pods, timeouts, and the CNI whose choices the simulator makes.

    `lab`: the lab to start, or one that is starting, if `target` names no cluster. `family`: if pods have
    addresses of both families, probe only this one. `flows`: probe only these.
    """

    target: ClusterChoice = field(default_factory=ClusterChoice)
    lab: LabOptions | Starting = field(default_factory=LabOptions)
    pods: PodOptions = field(default_factory=PodOptions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    pace: Pace = field(default_factory=Pace)
    profile: Profile = CALICO
    request_timeout_s: float = 30.0
    family: Family | None = None
    flows: FlowFilter = field(default_factory=FlowFilter)
