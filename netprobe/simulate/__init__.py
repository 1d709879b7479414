"""What the policies say: a pure simulator of NetworkPolicy v1.

`Simulator.decide` judges one flow and names every cause; `evaluate` judges all pairs of a large cluster.
"""

from netprobe.simulate.flow import Simulator
from netprobe.simulate.groups import Group
from netprobe.simulate.matrix import Evaluation, Pair, evaluate, evaluate_both
from netprobe.simulate.profile import (
    ANTREA,
    CALICO,
    CILIUM,
    KUBE_NETWORK_POLICIES,
    PROFILES,
    Profile,
    profile,
)
from netprobe.simulate.table import Counts, Table

__all__ = [
    "ANTREA",
    "CALICO",
    "CILIUM",
    "KUBE_NETWORK_POLICIES",
    "PROFILES",
    "Counts",
    "Evaluation",
    "Group",
    "Pair",
    "Profile",
    "Simulator",
    "Table",
    "evaluate",
    "evaluate_both",
    "profile",
]
