"""Is this cluster fit for a run, and does it enforce NetworkPolicy at all? Each answer with its evidence.

    pods         a client and a server on each node that is tried, paths between them, and what pods see
    deny_all     a deny-all on one end of the paths: before, during, after
    kinds        policies of every kind: which are served, and what those in the cluster do to the paths
    checks       Check and Diagnosis, and how they follow from what was observed; pure
    examination  all of it in order, the API first; everything is removed whatever happens

Unlike a run, the doctor waits for an expected result: a path that is open under a deny-all counts as "not
enforced" only at the deadline. A closed path needs the same controls as in a run: a live listener, a path
that worked before, and one that works meanwhile.
"""

from __future__ import annotations

from netprobe.doctor.checks import Check, CheckStatus, Diagnosis
from netprobe.doctor.examination import Examination

__all__ = ["Check", "CheckStatus", "Diagnosis", "Examination"]
