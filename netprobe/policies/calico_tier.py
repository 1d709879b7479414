"""Calico's Tier, NetworkSet, GlobalNetworkSet and HostEndpoint: what its policies refer to.

A Tier without `order` has the order of the tier `default`, and comes before or after it by name
(libcalico-go/lib/resources/tier.go). A tier denies at its end unless `defaultAction` is Pass.

The labels of a set may be in the annotation `projectcalico.org/metadata` of a crd.projectcalico.org/v1
object, where Calico's API server puts them; they win over `metadata.labels`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from netprobe.model.labels import CALICO_NAMESPACE
from netprobe.model.policy import DEFAULT_TIER, Action, NetworkSet, Origin, PolicyRef, Tier, Unsimulated
from netprobe.policies import fields, names
from netprobe.policies.calico_checks import Checks, one_of
from netprobe.policies.calico_end import read_nets
from netprobe.policies.calico_policy import read_order
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels, validate_metadata

STORED_METADATA = "projectcalico.org/metadata"

_OBJECT = frozenset(("apiVersion", "kind", "metadata", "spec"))
_ACTIONS = ("Pass", "Deny")
_FIXED = {  # name: default action, order
    "kube-admin": ("Pass", 1_000),
    DEFAULT_TIER.name: ("Deny", DEFAULT_TIER.order),
    "kube-baseline": ("Pass", 10_000_000),
}


def read_tier(
    decoder: Decoder,
    obj: Mapping[str, Any],
    *,
    namespace: str = "",  # noqa: ARG001 (every reader has it)
    origin: Origin | None = None,
) -> Tier | None:
    """The tier of an object; None if `decoder` has collected any error."""
    checks = Checks.of(decoder, obj)
    root = decoder.mapping(obj, "", _OBJECT)
    rule = names.dns_label if checks.v3 else names.dns_subdomain
    metadata = validate_metadata(decoder, root.get("metadata"), rule)
    spec = checks.spec(root, ("order", "defaultAction"))
    name = str(metadata.get("name"))
    order = read_order(checks, spec, DEFAULT_TIER.order)
    action = decoder.string(spec, "defaultAction", "spec")
    action = "Deny" if action is None else action
    if one_of(checks, action, "spec.defaultAction", _ACTIONS) and name in _FIXED:
        fixed_action, fixed_order = _FIXED[name]
        if action != fixed_action:
            detail = f"the tier {name} must have {fixed_action}"
            checks.refuse(fields.invalid("spec.defaultAction", action, detail))
        if order != fixed_order or spec.get("order") is None:
            detail = f"the tier {name} must have {fixed_order:.0f}"
            checks.refuse_v3(fields.invalid("spec.order", spec.get("order"), detail))
    if decoder.errors:
        return None
    return Tier(name, order, Action.PASS if action == "Pass" else Action.DENY, origin)


def read_network_set(
    decoder: Decoder, obj: Mapping[str, Any], *, namespace: str = "default", origin: Origin | None = None
) -> NetworkSet | None:
    """The set of a NetworkSet or GlobalNetworkSet; None if `decoder` has collected any error."""
    checks = Checks.of(decoder, obj)
    root = decoder.mapping(obj, "", _OBJECT)
    metadata = validate_metadata(decoder, root.get("metadata"))
    spec = checks.spec(root, ("nets",))
    labels = _labels(checks, metadata)
    nets = read_nets(checks, spec, "nets", "spec", in_rule=False)
    if decoder.errors or checks.ignored:
        return None
    own = "" if obj.get("kind") == "GlobalNetworkSet" else metadata.get("namespace") or namespace
    return NetworkSet(own, str(metadata.get("name")), labels, nets, origin)


def read_host_endpoint(
    decoder: Decoder,
    obj: Mapping[str, Any],
    *,
    namespace: str = "",  # noqa: ARG001 (every reader has it)
    origin: Origin | None = None,
) -> Unsimulated | None:
    """A HostEndpoint, whose `spec` is not read: policies for it decide traffic of nodes."""
    metadata = validate_metadata(decoder, decoder.mapping(obj, "").get("metadata"))
    if decoder.errors:
        return None
    return Unsimulated(PolicyRef("", str(metadata.get("name")), "HostEndpoint"), hosts=True, origin=origin)


def _labels(checks: Checks, metadata: Mapping[str, Any]) -> dict[str, str]:
    labels = check_labels(Decoder(strict=False), metadata, "labels", "metadata")  # checked already
    if CALICO_NAMESPACE in labels:
        checks.refuse_v3(fields.forbidden(f"metadata.labels.{CALICO_NAMESPACE}", "is Calico's own label"))
    annotations = metadata.get("annotations")
    text = annotations.get(STORED_METADATA) if isinstance(annotations, Mapping) else None
    if text is None or checks.v3:
        return labels
    where = f"metadata.annotations.{STORED_METADATA}"
    try:
        stored = json.loads(text)
    except (TypeError, ValueError) as error:
        checks.ignore(fields.invalid(where, text, f"must be JSON: {error}"))
        return labels
    return labels | checks.decoder.string_map(checks.decoder.mapping(stored, where), "labels", where)
