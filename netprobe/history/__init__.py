"""Reports read back: runs of a folder over time, and what differs between two reports.

saved  the runs of a folder, and what changed in the last ones
diff   which flows differ, and which policies; as text and as plain data
"""

from netprobe.history.diff import difference
from netprobe.history.saved import keep, read_folder, read_run

__all__ = ["difference", "keep", "read_folder", "read_run"]
