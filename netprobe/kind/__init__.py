"""A kind cluster with Calico on this machine: made, found again half-made, and removed.

Nothing is known here of the API's client or of probes: kind and docker are programs, and what is asked of the
cluster is asked by the kubectl that every node of kind carries.
"""

from netprobe.kind.cluster import KindCluster, Patience, Recipe, context_of
from netprobe.kind.manifest import CALICO, Manifest, obtained
from netprobe.kind.programs import Programs

__all__ = ["CALICO", "KindCluster", "Manifest", "Patience", "Programs", "Recipe", "context_of", "obtained"]
