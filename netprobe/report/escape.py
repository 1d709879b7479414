"""Names come from clusters and files: none of their characters may act in a terminal, a page or a log."""

from __future__ import annotations

import re

from netprobe.model.text import plain

_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")
_BREAKS = re.compile(r"[@#]|:(?=//)")
_WORKFLOW = {"%": "%25", "\r": "%0D", "\n": "%0A"}


def markdown(text: str) -> str:
    """As literal text in GitHub's Markdown, in a table cell too: no markup, HTML, mention or reference."""
    safe = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A word joiner keeps names from becoming mentions, references and links, which no backslash does.
    return _BREAKS.sub("\\g<0>\u2060", _MARKDOWN.sub(r"\\\1", safe))


def xml(text: str) -> str:
    """As XML text or as a quoted attribute; what XML 1.0 forbids is already gone with `plain`."""
    safe = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace('"', "&quot;")


def workflow_data(text: str) -> str:
    """The message of a GitHub workflow command; its newlines are kept, as %0A."""
    lines = "\n".join(plain(line) for line in text.split("\n"))
    return "".join(_WORKFLOW.get(c, c) for c in lines)


def workflow_property(text: str) -> str:
    """The value of a property (`file=`, `title=`) of a GitHub workflow command."""
    return workflow_data(plain(text)).replace(":", "%3A").replace(",", "%2C")
