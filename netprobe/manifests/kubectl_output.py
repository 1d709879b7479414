"""Output of kubectl for people, piped in where a manifest belongs."""

from __future__ import annotations

import re

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
