"""Reports read back: runs of a folder over time, and what differs between two reports.

saved   reports of suites as files
diff    which flows differ, and which policies
"""

from netprobe.history.diff import FlowChange, ReportDiff, difference
from netprobe.history.saved import SuiteRun, keep, read_run, suite_runs

__all__ = ["FlowChange", "ReportDiff", "SuiteRun", "difference", "keep", "read_run", "suite_runs"]
