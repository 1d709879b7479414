"""`ingress:` or `egress:` without a value, as charts render them.

A template such as `ingress: {{ .Values.rules }}` with empty values leaves a key without a value. `null` is
the same as an absent section: it has no rules. If `policyTypes` includes the direction, nothing is allowed;
if it does not, the section has no effect. `[]` says the first on purpose.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: web}}
        policyTypes: [Ingress]
    -   ingress:
    +   ingress: []
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.manifests.change import pointer
from netprobe.model.policy import Direction

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        source = view.source(policy)
        spec = source.get("spec") if source is not None else None
        if not isinstance(spec, Mapping):
            continue
        for direction in Direction:
            section = direction.value
            if spec.get(section, ()) is not None:
                continue
            closed = policy.rules(direction) is not None
            effect = f"no {section} is allowed at all" if closed else "it has no effect"
            yield Finding.about(
                policy,
                f"spec.{section}",
                f"`{section}:` has no value, perhaps because a template rendered nothing: {effect}",
                suggestion=f"write {section}: [] if that is meant" if closed else "remove it",
                fix=({"op": "replace", "path": pointer("spec", section), "value": []},) if closed else (),
            )
