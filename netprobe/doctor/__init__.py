"""Is this cluster fit for a run, and does it enforce NetworkPolicy at all? Each answer with its evidence.

    surroundings  what the API says: version, permissions, nodes, network plugin
    pair          a client and a server on each node that is tried; paths between them
    trial         a deny-all on one end of the paths: before, during, after
    inside        what pods see: DNS, clocks, SCTP
    verdict       from what was seen to one line a subject          pure
    examine       all of it in order, cleaned up whatever happens
    record        Check, Diagnosis                                  pure

Whoever looks for enforcement here knows what ought to happen and waits for it: an open path after a deny-all
counts as "not enforced" only when the time is over. The same rules as for a run hold for a closed one: a live
listener, a path that worked before, and one that works meanwhile.
"""

from __future__ import annotations

from netprobe.doctor.check import Check, Diagnosis, Status
from netprobe.doctor.examination import Examination

__all__ = ["Check", "Diagnosis", "Examination", "Status"]
