"""Mistakes in policies, with file and line. Each rule is a function, and its docstring is its manual.

`read(paths).lint()` gives the findings of manifests, `lint(View(cluster, known(...)))` those of a cluster.
"""

from netprobe.lint.fix import Fixed, edits, edits_in, fix, fix_files
from netprobe.lint.known import Known, known
from netprobe.lint.linter import FILE_NAME, NO_CONFIG, LintConfig, Linted, Silenced, lint, parse_config
from netprobe.lint.rule import Finding, LintRule, Severity, catalogue
from netprobe.lint.view import Refused, View, folder

__all__ = [
    "FILE_NAME",
    "NO_CONFIG",
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
    "edits_in",
    "fix",
    "fix_files",
    "folder",
    "known",
    "lint",
    "parse_config",
]
