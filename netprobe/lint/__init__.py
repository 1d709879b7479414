"""Mistakes in policies, with file and line: one rule a module, each with its manual as docstring.

`lint(View(cluster, known(...)))` gives the findings. Nothing here reads files or prints.
"""

from netprobe.lint.config import FILE_NAME, NO_CONFIG, LintConfig, parse_config
from netprobe.lint.finding import Finding, Severity, Silenced
from netprobe.lint.known import Known, known
from netprobe.lint.linter import Linted, lint
from netprobe.lint.patch import Edit, Fixed, edits, fix
from netprobe.lint.rule import LintRule, catalogue
from netprobe.lint.view import Refused, View, folder

__all__ = [
    "FILE_NAME",
    "NO_CONFIG",
    "Edit",
    "Finding",
    "Fixed",
    "Known",
    "LintConfig",
    "LintRule",
    "Linted",
    "Refused",
    "Severity",
    "Silenced",
    "View",
    "catalogue",
    "edits",
    "fix",
    "folder",
    "known",
    "lint",
    "parse_config",
]
