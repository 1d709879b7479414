"""What a pod does not show to the network, cut out of a dump's text before it is parsed.

In a dump half of the lines belong to environments, volumes, probes and statuses that nobody here reads. A
subtree of YAML's block style ends where the indent does, so a regular expression can take it out, and what
remains is parsed in half the time. It is done only to large texts, which a program has written: small ones,
which a person may have written, are read to the last line, doubled keys and all.
"""

from __future__ import annotations

import re

LARGE = 1 << 20
"""Characters from which on a file is taken for a dump."""

_UNREAD = (
    "affinity|allocatedResources|annotations|args|command|containerStatuses|dnsConfig|env|envFrom"
    "|ephemeralContainerStatuses|ephemeralContainers|hostAliases|imagePullSecrets|initContainerStatuses"
    "|lifecycle|livenessProbe|managedFields|nodeSelector|readinessGates|readinessProbe|resourceClaims"
    "|resources|schedulingGates|securityContext|startupProbe|tolerations|topologySpreadConstraints"
    "|volumeClaimTemplates|volumeDevices|volumeMounts|volumes"
)
_BLANK = r"[ ]*(?:#.*)?\n"
_INSIDE = r"\1(?: |- ).*(?:\n|\Z)"
_SUBTREE = re.compile(
    rf"^( +)(?:{_UNREAD}):[ ]*\n(?:{_BLANK})*{_INSIDE}(?:{_INSIDE}|{_BLANK})*", re.MULTILINE
)
_FLOW_OVER_LINES = re.compile(r"[\[{][^\]}\n]*$", re.MULTILINE)


def trimmed(text: str) -> str:
    """The text of one object without what is not read; unchanged where indents may not tell.

    They may not inside `{…}` over several lines; and an anchor that is cut could be one that is needed.
    """
    if " &" in text or _FLOW_OVER_LINES.search(text):
        return text
    return _SUBTREE.sub("", text)
