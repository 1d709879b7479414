"""From a declaration to policies: `generate` writes the set that gives exactly a declared matrix.

Every set is proved by the simulator before it is given out. A declaration that no policies can meet is
refused, with the pods and the flows.
"""

from netprobe.generate.asked import Refusal
from netprobe.generate.demand import NamedPeers
from netprobe.generate.flows import listed
from netprobe.generate.generate import Generated, Made, generate
from netprobe.generate.propose import Proposed, propose
from netprobe.generate.space import apart

__all__ = [
    "Generated",
    "Made",
    "NamedPeers",
    "Proposed",
    "Refusal",
    "apart",
    "generate",
    "listed",
    "propose",
]
