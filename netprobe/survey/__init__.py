"""A survey of a cluster without a suite: which flows are asked for, each of them, or an overview.

`Survey.rows` simulates flow by flow, in a stable order and without holding them; `Survey.overview` says the
same in as few bundles as it takes, at a cost that does not grow with the number of pairs.
"""

from netprobe.survey.overview import Bundle, Overview
from netprobe.survey.question import Question, ask, ends, flow, stranger
from netprobe.survey.survey import Survey

__all__ = ["Bundle", "Overview", "Question", "Survey", "ask", "ends", "flow", "stranger"]
