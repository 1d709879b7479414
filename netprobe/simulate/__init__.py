"""What the policies say: a pure simulator.

`Simulator.decide` decides one flow and names every cause; `evaluate` all pairs of a large cluster;
`AllPairs` the flows of a question, one by one or in an overview.
"""

from netprobe.simulate.flow import Simulator
from netprobe.simulate.groups import Group
from netprobe.simulate.matrix import Evaluation, Pair, evaluate, evaluate_both
from netprobe.simulate.overview import Bundle, Overview, PodSet
from netprobe.simulate.pairs import AllPairs
from netprobe.simulate.profile import (
    ANTREA,
    CALICO,
    CILIUM,
    KUBE_NETWORK_POLICIES,
    PROFILES,
    Profile,
    profile,
)
from netprobe.simulate.question import Question, ask, ends, flow, stranger
from netprobe.simulate.table import Counts, Table

__all__ = [
    "ANTREA",
    "CALICO",
    "CILIUM",
    "KUBE_NETWORK_POLICIES",
    "PROFILES",
    "AllPairs",
    "Bundle",
    "Counts",
    "Evaluation",
    "Group",
    "Overview",
    "Pair",
    "PodSet",
    "Profile",
    "Question",
    "Simulator",
    "Table",
    "ask",
    "ends",
    "evaluate",
    "evaluate_both",
    "flow",
    "profile",
    "stranger",
]
