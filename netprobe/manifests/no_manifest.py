"""Text that is not a manifest: templates, with the program that fills them in, and kubectl's tables.

Many templates are valid YAML, and many manifests have such marks in a script or an annotation. So a mark
alone decides nothing: text with one is a template if it is not YAML, or its object cannot be understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RENDER = "render it first (helm template)"
CHART = f"a Helm chart, not manifests: {RENDER}"
OPENSHIFT = "an OpenShift template, not a manifest: process it first (oc process)"

_MARKS = (
    (re.compile(r"\{\{"), f"this is a template, not a manifest: {RENDER}"),
    (re.compile(r"\{%|<%"), "this is a template, not a manifest: render it first"),
    (re.compile(r"^[ \t]*#@[ \t]", re.MULTILINE), "this is a ytt template: render it first (ytt -f FOLDER)"),
    (
        re.compile(r"\$\{+(\w+)[^}\n]*\}+"),
        "the variable ${{{name}}} is not substituted: build it first (flux build, or envsubst)",
    ),
    (
        re.compile(
            r"\$\(([\w.-]+)\)|@(\w+)@|%%?(\w+)%|<([A-Z][A-Z0-9_-]+)>"
            r"|^\s*name(?:space)?:\s*[\"']?(_|\(.+\))[\"']?\s*$",
            re.MULTILINE,
        ),
        "the placeholder {name} is not replaced: build it first",
    ),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """The first mark of a template in a text, at a line from 0, and what to do."""

    line: int
    message: str


def mark(text: str) -> Mark | None:
    """The mark of a template in a text, if it has one."""
    for pattern, message in _MARKS:
        if (found := pattern.search(text)) is not None:
            names = [name for name in found.groups() if name]
            return Mark(text.count("\n", 0, found.start()), message.format(name="".join(names) or found[0]))
    return None


_FORMS = (
    (re.compile(r"(NAMESPACE +)?NAME +[A-Z][A-Z-]+[A-Z() -]*$", re.MULTILINE), "kubectl's table output"),
    (re.compile(r"Name: {2,}\S+\n([A-Z][\w -]*:.*\n)"), "the output of kubectl describe"),
    (re.compile(r"[a-z]+(\.[a-z0-9.]+)?/[a-z0-9.-]+\n", re.MULTILINE), "the output of kubectl -o name"),
    (
        re.compile(r"No resources found|error: |Error from server|The connection to the server"),
        "a message of kubectl",
    ),
)


def kubectl_output(text: str) -> str | None:
    """The problem with a text that is such output; None for any other."""
    for pattern, name in _FORMS:
        if pattern.match(text.lstrip()):
            return f"this is {name}, not a manifest: use kubectl get -o yaml"
    return None
