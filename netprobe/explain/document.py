"""An explanation as plain data for `-o json` and `-o yaml`."""

from __future__ import annotations

from typing import Any

from netprobe.explain.explanation import (
    Explanation,
    Item,
    NearMiss,
    PolicyView,
    RuleView,
    SideView,
    TierView,
)
from netprobe.manifests.change import SuggestedEdit, Suggestion, fix_document
from netprobe.model.policy import Place


def document(explanation: Explanation) -> dict[str, Any]:
    """A versioned document. Every key is always present, with null or an empty list for nothing."""
    return {"apiVersion": "netprobe/v1alpha1", "kind": "Explanation", **_explanation(explanation)}


def _explanation(explanation: Explanation) -> dict[str, Any]:
    flow, change = explanation.flow, explanation.change
    return {
        "from": str(flow.source),
        "to": str(flow.destination),
        "port": flow.port,
        "protocol": flow.protocol.value,
        "family": flow.family,
        "via": flow.via.value,
        "verdict": explanation.verdict.value,
        "answer": explanation.answer,
        "reason": explanation.reason,
        "undefined": explanation.undefined,
        "qualified_by": [{"kind": one.ref.kind, "policy": str(one.ref)} for one in explanation.qualified_by],
        "note": explanation.note,
        "sides": [_side(side) for side in explanation.sides],
        "change": _change(change),
        "fix": fix_document(change),
        "same_for": [{"from": str(one.source), "to": str(one.destination)} for one in explanation.others],
        "parts": [_explanation(part) for part in explanation.parts],
    }


def _side(side: SideView) -> dict[str, Any]:
    return {
        "direction": side.direction.value,
        "subject": side.subject,
        "peer": side.peer,
        "assumed": [str(address) for address in side.assumed],
        "verdict": side.verdict.value,
        "policies": [_policy(view) for view in side.policies],
        "tiers": [_tier(tier) for tier in side.tiers],
        "near_misses": [_near(miss) for miss in side.near],
    }


def _tier(tier: TierView) -> dict[str, Any]:
    return {
        "tier": tier.name,
        "default": tier.default.value,
        "reached": tier.reached,
        "outcome": tier.outcome.value,
        "by_default": tier.by_default,
        "policies": [str(view.policy) for view in tier.policies],
    }


def _near(miss: NearMiss) -> dict[str, Any]:
    return {
        "policy": str(miss.policy),
        "kind": miss.policy.kind,
        "lacks": miss.kind.value,
        "text": miss.text,
        "labels": dict(miss.labels),
        "place": _place(miss.place),
    }


def _policy(view: PolicyView) -> dict[str, Any]:
    return {
        "policy": str(view.policy),
        "kind": view.policy.kind,
        "tier": view.tier,
        "allows": view.allows,
        "place": _place(view.place),
        "rules": [_rule(rule) for rule in view.rules],
    }


def _rule(rule: RuleView) -> dict[str, Any]:
    return {
        "rule": rule.index,
        "name": rule.name,
        "path": rule.path,
        "action": rule.action.value,
        "role": rule.role.value,
        "allows": rule.allows,
        "place": _place(rule.place),
        "peers": [_item(item) for item in rule.peers],
        "ports": [_item(item) for item in rule.ports],
        "conditions": [_item(item) for item in rule.conditions],
    }


def _item(item: Item) -> dict[str, Any]:
    obstacle = item.obstacle
    return {
        "index": item.index,
        "path": item.path,
        "says": item.says,
        "matches": obstacle is None,
        "place": _place(item.place),
        "obstacle": None
        if obstacle is None
        else {
            "kind": obstacle.kind.value,
            "text": obstacle.text,
            "wanted": obstacle.wanted,
            "found": obstacle.found,
        },
    }


def _change(change: Suggestion | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {"verdict": change.verdict.value, "edits": [_edit(edit) for edit in change.edits]}


def _edit(edit: SuggestedEdit) -> dict[str, Any]:
    return {"target": edit.target, "path": edit.path, "text": edit.text, "place": _place(edit.place)}


def _place(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else {"file": place.file, "line": place.line, "column": place.column}
