"""What a change of policies does before it is applied: which flows open, close, or get another reason.

`edited(old, new)` puts a change on a state; `impact(edit)` subtracts the two by groups of pods that no policy
tells apart, so that its cost does not grow with the pairs of pods.
"""

from netprobe.impact.bundle import Kind, Scope
from netprobe.impact.crowd import Crowd
from netprobe.impact.edit import Edit, Given, edited
from netprobe.impact.impact import Bundle, Impact, impact
from netprobe.impact.needed import Breach
from netprobe.impact.redundant import Idle

__all__ = [
    "Breach",
    "Bundle",
    "Crowd",
    "Edit",
    "Given",
    "Idle",
    "Impact",
    "Kind",
    "Scope",
    "edited",
    "impact",
]
