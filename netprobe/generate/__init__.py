"""From a declaration to policies: `generate` writes the set that gives exactly a declared matrix.

Every set is proved by the simulator before it is given out. A declaration that no policies can meet is
refused, with the pods and the flows.
"""

from netprobe.generate.generate import Generated, generate
from netprobe.generate.propose import propose

__all__ = ["Generated", "generate", "propose"]
