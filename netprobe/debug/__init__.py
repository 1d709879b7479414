"""Why is this traffic blocked? One cause, named first, with its evidence and its fix.

    facts         what is read                                           Facts
    ends          FROM and TO: pods, Services, names, addresses
    reading       request and facts -> evidence: the Service, where the traffic ends, what the policies say
    near          policies that almost allow it
    guests        the pods that send: the source's shadow, policy-free pods, ephemeral containers
    packets       what is tried, and what the policies say about each try
    records       the parts of the evidence, as plain data
    evidence      all of it, and the questions that causes ask           Evidence
    steps         evidence -> one line for each part of the path
    causes/       evidence -> root causes, one function each
    answer        steps, causes, exit status; text and JSON              Answer
    examination   all of it in order                                     debug(), watch(), debug_files()

Reading, sending and judging are apart: a cause sees the evidence only, and no step knows a cause.
"""

from __future__ import annotations

from netprobe.debug.answer import LABEL_WIDTH, STEP_WIDTH, Answer, document, lines
from netprobe.debug.examination import debug, debug_files, watch
from netprobe.debug.reading import Request
from netprobe.debug.steps import StepStatus

__all__ = [
    "LABEL_WIDTH",
    "STEP_WIDTH",
    "Answer",
    "Request",
    "StepStatus",
    "debug",
    "debug_files",
    "document",
    "lines",
    "watch",
]
