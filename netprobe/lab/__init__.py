"""A small cluster on this machine: real packets through a real kernel, behind a Kubernetes API.

Importing this is cheap: the daemon imports what it needs.
"""

from netprobe.lab.launch import Health, Lab, Starting, begin, list_labs, start, stop
from netprobe.lab.options import LabOptions

__all__ = ["Health", "Lab", "LabOptions", "Starting", "begin", "list_labs", "start", "stop"]
