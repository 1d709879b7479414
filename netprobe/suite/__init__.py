"""The suite file: topology, policies, steps, and what the author expects of them.

schema       the file as pydantic models; text reads it, load checks the whole file
ends         patterns of ends and ports in rows, and what they match in a cluster
declaration  an expectation read against a cluster: the declared matrix
moments      the suite and its moments
"""

from __future__ import annotations

from netprobe.suite.declaration import Declaration, Expectation, ExpectationRow
from netprobe.suite.load import load
from netprobe.suite.moments import (
    ApplyPolicies,
    DeletePolicies,
    Moment,
    SetMetadata,
    StepAction,
    Suite,
    SuiteStep,
    apply,
)
from netprobe.suite.text import is_suite
from netprobe.suite.topology import Topology

__all__ = [
    "ApplyPolicies",
    "Declaration",
    "DeletePolicies",
    "Expectation",
    "ExpectationRow",
    "Moment",
    "SetMetadata",
    "StepAction",
    "Suite",
    "SuiteStep",
    "Topology",
    "apply",
    "is_suite",
    "load",
]
