"""Where a run takes place, and how: what every kind of run is told beside what it tries."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from netprobe.lab import LabOptions
from netprobe.model.flow import Family
from netprobe.probe import Deadlines, Pace, PodOptions
from netprobe.run.target import Narrate, Opened, Target, opened
from netprobe.simulate import CALICO, Profile


@dataclass(frozen=True, slots=True)
class Terms:
    """The cluster, the pods of the run, its patience, and the CNI whose choices the simulator makes.

    `lab`: of the lab that is made where `target` names no cluster. `family`: where pods have addresses of
    both, probe this one only.
    """

    target: Target = field(default_factory=Target)
    lab: LabOptions = field(default_factory=LabOptions)
    pods: PodOptions = field(default_factory=PodOptions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    pace: Pace = field(default_factory=Pace)
    profile: Profile = CALICO
    request_timeout_s: float = 30.0
    family: Family | None = None

    def opened(self, narrate: Narrate) -> AbstractAsyncContextManager[Opened]:
        """As `target.opened`."""
        return opened(self.target, self.lab, request_timeout_s=self.request_timeout_s, narrate=narrate)

    def pace_on(self, there: Opened, flows: int = 0) -> Pace:
        """The pace for that many flows there."""
        return self.pace.on_lab(flows) if there.is_lab else self.pace
