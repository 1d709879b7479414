"""The suite file: topology, policies, steps, and what the author expects of them."""

from __future__ import annotations

from netprobe.suite.action import Action, Apply, Change, Delete, apply
from netprobe.suite.authority import Authority
from netprobe.suite.crowds import crowded
from netprobe.suite.expectation import Expectation, Row
from netprobe.suite.load import Step, Suite, load
from netprobe.suite.resolve import resolve
from netprobe.suite.topology import Topology

__all__ = [
    "Action",
    "Apply",
    "Authority",
    "Change",
    "Delete",
    "Expectation",
    "Row",
    "Step",
    "Suite",
    "Topology",
    "apply",
    "crowded",
    "load",
    "resolve",
]
