"""What the server fills in, refuses and warns about before it stores an object, by kind.

Only what matters to the network: policies, Services, names, labels and ports. A real server checks more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netprobe.lab.api.admission import definitions, services, workloads
from netprobe.lab.api.resources import (
    DAEMON_SETS,
    DEFINED,
    DEFINITIONS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    NAMESPACES,
    NETWORK_POLICIES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from netprobe.lab.api.status import invalid
from netprobe.lab.api.store import Store
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object, ReadOnlyObject
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder, FieldError
from netprobe.policies.kinds import NETWORK_POLICY, PolicyKind
from netprobe.policies.metadata import NameRule, validate_metadata

Check = Callable[[Mapping[str, Any], Mapping[str, Any] | None], Iterable[FieldError]]


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """`default` fills in an object, in place; `check` yields what is wrong with it or with the change."""

    default: Callable[[dict[str, Any]], None] = lambda _: None
    check: Check = lambda _new, _old: ()


def _default_namespace(namespace: Object) -> None:
    own = namespace["metadata"]
    own.setdefault("labels", {})[NAME_LABEL] = own["name"]


def _default_policy(policy: Object) -> None:
    """pkg/apis/networking/v1/defaults.go: Ingress always, Egress if there is an egress rule, and TCP."""
    spec = policy["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _policy_check(kind: PolicyKind) -> Check:
    def check(policy: Mapping[str, Any], _old: Mapping[str, Any] | None) -> Iterable[FieldError]:
        decoder = Decoder(strict=True)
        if kind.read is not None:
            kind.read(decoder, {key: value for key, value in policy.items() if key != "status"})
        return decoder.errors

    return check


_RULES: dict[Resource, AdmissionRules] = {
    NAMESPACES: AdmissionRules(_default_namespace),
    PODS: AdmissionRules(workloads.default_pod, workloads.check_pod),
    SERVICES: AdmissionRules(services.default_service, services.check_service),
    ENDPOINT_SLICES: AdmissionRules(services.default_slice),
    NETWORK_POLICIES: AdmissionRules(_default_policy, _policy_check(NETWORK_POLICY)),
    **dict.fromkeys(
        (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS),
        AdmissionRules(workloads.default_workload, workloads.check_workload),
    ),
    JOBS: AdmissionRules(workloads.default_job, workloads.check_job),
    DEFINITIONS: AdmissionRules(definitions.default_definition, definitions.check_definition),
    **{resource: AdmissionRules(check=_policy_check(kind)) for resource, kind in DEFINED.items()},
}
_NO_RULES = AdmissionRules()
_POLICIES = frozenset((NETWORK_POLICIES, *DEFINED))


def admit(resource: Resource, obj: Object, old: ReadOnlyObject | None, store: Store) -> None:
    """Fill in an object that is about to be stored; ApiError 422 with everything that is wrong with it."""
    rules = _RULES.get(resource, _NO_RULES)
    rules.default(obj)
    causes: list[FieldError] = []
    if resource not in _POLICIES:  # their check covers the metadata
        causes += _check_metadata(resource, obj["metadata"])
    causes += rules.check(obj, old)
    if not causes and resource is SERVICES:
        causes += services.allocate(obj, old, store)
    if causes:
        raise invalid(resource, obj["metadata"]["name"], causes)


def warnings(resource: Resource, obj: ReadOnlyObject, old: ReadOnlyObject | None) -> Iterator[str]:
    """The new warnings about an object that has less effect here than in a real cluster."""
    before = () if old is None else tuple(_warnings(resource, old))
    yield from (sentence for sentence in _warnings(resource, obj) if sentence not in before)


def _warnings(resource: Resource, obj: ReadOnlyObject) -> Iterator[str]:
    """Every warning that applies to an object as it is."""
    if resource.unused:
        yield resource.unused
    elif resource is SERVICES:
        yield from _of_service(obj.get("spec", {}))


def _of_service(spec: ReadOnlyObject) -> Iterator[str]:
    if spec.get("externalIPs"):
        yield "the lab does not route externalIPs"
    if spec.get("sessionAffinity") == "ClientIP":
        yield "the lab has no session affinity: each connection reaches any endpoint"
    if spec.get("type") == "LoadBalancer":
        yield "the lab has no load balancers: external hosts reach this Service by its node port"


def _check_metadata(resource: Resource, metadata: Mapping[str, Any]) -> Iterator[FieldError]:
    """What is wrong with the metadata. The garbage collector relies on complete owner references."""
    decoder = Decoder(strict=False)
    validate_metadata(decoder, metadata, _name_rule(resource))
    yield from decoder.errors
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield fields.invalid(f"metadata.ownerReferences[{index}].{field}", "", "must not be empty")


def _name_rule(resource: Resource) -> NameRule:
    if resource is NAMESPACES:
        return names.dns_label
    if resource is SERVICES:
        return _service_name
    if resource.group == "rbac.authorization.k8s.io":
        return lambda name: ["may not contain '/' or '%'"] if set(name) & set("/%") else []
    return names.dns_subdomain


def _service_name(name: str) -> Sequence[str]:
    """A DNS label of RFC 1035, which begins with a letter."""
    problems = names.dns_label(name)
    return problems or (() if name[0].isalpha() else ("must start with an alphabetic character",))
