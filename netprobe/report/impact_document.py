"""The impact of a change as JSON, one bundle per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from netprobe.impact import Breach, ChangeBundle, FlowChange, Impact
from netprobe.manifests.suggestion import fix_fields
from netprobe.model.flow import Protocol
from netprobe.model.verdict import Decision
from netprobe.report.document import API_VERSION, causes, flow_fields
from netprobe.report.style import PLAIN, Style


def as_json(impact: Impact, _style: Style = PLAIN) -> Iterator[str]:
    """One document, in pieces; docs/impact.schema.json describes it."""
    revision, checked = impact.revision, impact.declared
    head = {
        "apiVersion": API_VERSION,
        "kind": "Impact",
        "staged": [str(ref) for ref in revision.staged],
        "policies": {
            "added": [str(ref) for ref in revision.added],
            "changed": [str(ref) for ref in revision.changed],
            "deleted": [str(ref) for ref in revision.deleted],
        },
        "summary": {
            "pods": impact.pods,
            "new_pods": revision.new_pods,
            "relabelled": revision.relabelled,
            "left_out": len(impact.left_out),
            "opens": impact.flows(FlowChange.OPENS),
            "closes": impact.flows(FlowChange.CLOSES),
            "other_reason": impact.flows(FlowChange.REASON),
            "against_declaration": sum(len(one.flows) for one in impact.breaches) if checked else None,
            "could_not_tell": sum(len(one.flows) for one in impact.unclear) if checked else None,
        },
        "declaration": [_breach_record(one) for one in (checked.breaches if checked else ())],
        "left_out": [str(ref) for ref in impact.left_out],
        "could_go": [
            {
                "policy": str(one.policy),
                "direction": one.direction.value if one.direction else None,
                "rule": one.rule,
                "reason": one.reason,
                "fix": fix_fields(f"remove {one}", [one.change]),
            }
            for one in impact.unneeded
        ],
        "problems": list(revision.after.warnings),
    }
    yield json.dumps(head)[:-1] + ', "changes": ['
    between = "\n"
    for bundle in impact.bundles:
        yield between + json.dumps(_record(impact, bundle))
        between = ",\n"
    yield "\n]}\n"


def _record(impact: Impact, bundle: ChangeBundle) -> dict[str, Any]:
    before, after = impact.decisions(bundle.sample)
    other = (impact.other, Protocol.TCP)
    ports = [port for port in bundle.ports or () if port != other]
    named = [{"port": number, "protocol": protocol.value} for number, protocol in ports]
    return {
        "change": bundle.change.value,
        "scope": bundle.scope.value,
        "from": {"pods": bundle.sources.size, "names": list(bundle.sources.names)},
        "to": {"pods": bundle.destinations.size, "names": list(bundle.destinations.names)},
        "ports": None if bundle.ports is None else named,
        "other_ports": bundle.ports is None or other in bundle.ports,
        "family": bundle.family,
        "flows": bundle.flows,
        "sample": flow_fields(bundle.sample),
        "before": _decision(before),
        "after": _decision(after),
    }


def _breach_record(breach: Breach) -> dict[str, Any]:
    return {
        "declared": breach.declared.value,
        "flows": [flow_fields(flow) for flow in breach.flows],
        "before": _decision(breach.before),
        "after": _decision(breach.after),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {"verdict": decision.verdict.value, "because": causes(decision.because)}
