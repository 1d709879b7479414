"""A small cluster on this machine: real packets through a real kernel, behind a Kubernetes API.

Importing this costs little: what the daemon needs is imported by the daemon.
"""

from netprobe.lab.launch import Health, Lab, list_labs, start, stop
from netprobe.lab.options import LabOptions

__all__ = ["Health", "Lab", "LabOptions", "list_labs", "start", "stop"]
