"""Reports read back: runs of a folder over time, and what differs between two reports."""

from netprobe.history.runs import difference, keep, read_folder, read_run

__all__ = ["difference", "keep", "read_folder", "read_run"]
