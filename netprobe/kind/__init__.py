"""A kind cluster with Calico on this machine, through the programs docker and kind.

The state of the cluster is read with the kubectl that every kind node contains.
"""

from netprobe.kind.cluster import CreateOptions, KindCluster, Programs, Timeouts, context_of
from netprobe.kind.manifest import CALICO, Manifest, read_manifest

__all__ = [
    "CALICO",
    "CreateOptions",
    "KindCluster",
    "Manifest",
    "Programs",
    "Timeouts",
    "context_of",
    "read_manifest",
]
