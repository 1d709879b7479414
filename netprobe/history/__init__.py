"""Reports read back: runs of a folder over time, and what differs between two reports.

saved  the runs of a folder, and what changed in the last ones
diff   which flows differ, and which policies; as text and as plain data
"""

from netprobe.history.diff import FlowChange, ReportDiff, difference
from netprobe.history.saved import RunsOverTime, SuiteRun, keep, read_folder, read_run, suite_runs

__all__ = [
    "FlowChange",
    "ReportDiff",
    "RunsOverTime",
    "SuiteRun",
    "difference",
    "keep",
    "read_folder",
    "read_run",
    "suite_runs",
]
