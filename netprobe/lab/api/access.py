"""Who may do what: whoever holds the lab's token may do everything that the lab can."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.operations import now
from netprobe.lab.api.resources import ACCESS_REVIEWS, RULES_REVIEWS, Resource

USER = "netprobe-lab-admin"
GROUPS = ["system:masters", "system:authenticated"]


def review(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """Answer a review about the caller."""
    if resource is ACCESS_REVIEWS:
        status: dict[str, Any] = {"allowed": True, "reason": "the lab's token may do everything"}
    elif resource is RULES_REVIEWS:
        status = {
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        }
    else:
        status = {"userInfo": {"username": USER, "groups": GROUPS}}
    return {**obj, "metadata": {"creationTimestamp": now()}, "status": status}
