"""What the policies say: a pure simulator.

`Simulator.decide` decides one flow and names every cause; `evaluate` all pairs of a large cluster;
`AllPairs` the flows of a question, one by one or in an overview.
"""

from netprobe.simulate.flow import Simulator
from netprobe.simulate.groups import EndGroup
from netprobe.simulate.matrix import Evaluation, Pair, evaluate, evaluate_both
from netprobe.simulate.overview import FlowBundle, Overview, PodSet
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
from netprobe.simulate.question import (
    PortAsked,
    Question,
    ends,
    flow,
    named_flows,
    port_numbers,
    read_question,
)
from netprobe.simulate.table import PairCounts, Table

__all__ = [
    "ANTREA",
    "CALICO",
    "CILIUM",
    "KUBE_NETWORK_POLICIES",
    "PROFILES",
    "AllPairs",
    "EndGroup",
    "Evaluation",
    "FlowBundle",
    "Overview",
    "Pair",
    "PairCounts",
    "PodSet",
    "PortAsked",
    "Profile",
    "Question",
    "Simulator",
    "Table",
    "ends",
    "evaluate",
    "evaluate_both",
    "flow",
    "named_flows",
    "port_numbers",
    "profile",
    "read_question",
]
