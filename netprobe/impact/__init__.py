"""What a revision of policies does before it is applied: which flows open, close, or get another reason.

`revise(old, new)` applies a revision to a state. `impact(revision)` subtracts the two states by groups of
pods that no policy tells apart, so its cost does not grow with the pairs of pods.
"""

from netprobe.impact.difference import FlowChange
from netprobe.impact.impact import Breach, ChangeBundle, Impact, impact
from netprobe.impact.revision import Revision, Snapshot, read_snapshots, revise
from netprobe.impact.unneeded import Unneeded

__all__ = [
    "Breach",
    "ChangeBundle",
    "FlowChange",
    "Impact",
    "Revision",
    "Snapshot",
    "Unneeded",
    "impact",
    "read_snapshots",
    "revise",
]
