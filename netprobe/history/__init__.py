"""Reports read back: runs of a folder over time, and what differs between two reports.

saved   reports of suites as files
folder  all runs of a folder, and what changed in the last ones
diff    which flows differ, and which policies
"""

from netprobe.history.diff import FlowChange, ReportDiff, difference
from netprobe.history.folder import RunsOverTime, read_folder
from netprobe.history.saved import SuiteRun, keep, read_run, suite_runs

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
