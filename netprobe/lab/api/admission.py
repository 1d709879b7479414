"""What the server fills in, refuses and warns about before it stores an object, by kind.

Only what matters to the network: policies, Services, names, labels and ports. A real server checks more.

While a CustomResourceDefinition exists, the lab serves its kind and stores its objects. A new lab has the
definitions of the policy kinds that it enforces; without one, its kind is not served, as on a cluster that
does not know it. Objects of other kinds are stored and ignored: only their storage version is served, and
their schema is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netprobe.lab.api import defaults
from netprobe.lab.api import resources as r
from netprobe.lab.api.resources import DEFINED, Resource, older_versions
from netprobe.lab.api.status import invalid
from netprobe.lab.api.store import Store, StoredChange
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object, ReadOnlyObject
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder, FieldError
from netprobe.policies.kinds import NETWORK_POLICY, PolicyKind
from netprobe.policies.metadata import NameRule, validate_metadata

_POLICY_API = "policy.networking.k8s.io"
_BUNDLE = {"bundle-version": "v0.3.0", "channel": "experimental"}
"""The release of network-policy-api whose kinds these are; its tools read these annotations."""

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


def default_definition(definition: Object) -> None:
    """The names that follow from others, and the status of a kind that is served."""
    names = definition.setdefault("spec", {}).setdefault("names", {})
    kind = names.get("kind", "")
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": ""}
        for kind, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    stored = [version["name"] for version in _versions(definition) if version.get("storage")]
    definition["status"] = {"acceptedNames": names, "conditions": conditions, "storedVersions": stored}


def check_definition(definition: Mapping[str, Any], _old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    """As much of a definition as the lab needs to serve the kind."""
    spec = definition["spec"]
    names = spec["names"]
    for path, value in (
        ("group", spec.get("group")),
        ("scope", spec.get("scope")),
        ("names.plural", names.get("plural")),
        ("names.kind", names.get("kind")),
        ("versions", definition["status"]["storedVersions"]),
    ):
        if not value:
            yield fields.required(f"spec.{path}", "")
    name = definition["metadata"]["name"]
    if name != f"{names.get('plural')}.{spec.get('group')}":
        yield fields.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def serve_custom_kinds(store: Store) -> None:
    """Keep the catalog of a store up to date with its definitions. A built-in kind is never replaced."""

    def note(change: StoredChange) -> None:
        if change.resource is not r.DEFINITIONS:
            return
        defined = _resource(change.now.object)
        known = store.catalog.find(defined.group, defined.version, defined.plural)
        if change.type == "ADDED" and known is None:
            for resource in (defined, *older_versions(defined)):
                store.catalog.add(resource)
        elif change.type == "DELETED" and known is not None and known.custom:
            store.forget(known)
            for resource in (known, *older_versions(known)):
                store.catalog.remove(resource)

    store.listen(note)


def policy_definition(resource: Resource) -> Object:
    """The definition of a kind that the lab enforces; the fields are those that its reader knows."""
    singular = resource.singular
    metadata: Object = {"name": resource.qualified}
    if resource.group == _POLICY_API:
        metadata["annotations"] = {f"{_POLICY_API}/{key}": value for key, value in _BUNDLE.items()}
    return {
        "apiVersion": r.DEFINITIONS.api_version,
        "kind": r.DEFINITIONS.kind,
        "metadata": metadata,
        "spec": {
            "group": resource.group,
            "scope": "Cluster" if resource.cluster else "Namespaced",
            "names": {
                "kind": resource.kind,
                "plural": resource.plural,
                "singular": singular,
                **({"shortNames": resource.short.split()} if resource.short else {}),
            },
            "versions": [
                {
                    "name": one.version,
                    "served": True,
                    "storage": one is resource,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    },
                    **({"subresources": {"status": {}}} if resource.status else {}),
                }
                for one in (resource, *older_versions(resource))
            ],
        },
    }


def _versions(definition: ReadOnlyObject) -> list[Any]:
    return [version for version in definition["spec"].get("versions") or () if version.get("name")]


def _resource(definition: ReadOnlyObject) -> Resource:
    spec = definition["spec"]
    names = spec["names"]
    for enforced in DEFINED:
        if (enforced.group, enforced.plural) == (spec["group"], names["plural"]):
            return enforced
    version = next(version for version in _versions(definition) if version.get("storage"))
    return Resource(
        f"{spec['group']}/{version['name']}",
        names["kind"],
        " ".join(names.get("shortNames") or ()),
        f"Defined by {definition['metadata']['name']}.",
        names["plural"],
        cluster=spec["scope"] == "Cluster",
        status="status" in (version.get("subresources") or {}),
        generation=True,
        unused="the lab stores this custom resource and does not use it",
        custom=True,
    )


_RULES: dict[Resource, AdmissionRules] = {
    r.NAMESPACES: AdmissionRules(_default_namespace),
    r.PODS: AdmissionRules(defaults.default_pod, defaults.check_pod),
    r.SERVICES: AdmissionRules(defaults.default_service, defaults.check_service),
    r.ENDPOINT_SLICES: AdmissionRules(defaults.default_slice),
    r.NETWORK_POLICIES: AdmissionRules(_default_policy, _policy_check(NETWORK_POLICY)),
    **dict.fromkeys(
        (r.DEPLOYMENTS, r.REPLICA_SETS, r.STATEFUL_SETS, r.DAEMON_SETS),
        AdmissionRules(defaults.default_workload, defaults.check_workload),
    ),
    r.JOBS: AdmissionRules(defaults.default_job, defaults.check_job),
    r.DEFINITIONS: AdmissionRules(default_definition, check_definition),
    **{resource: AdmissionRules(check=_policy_check(kind)) for resource, kind in DEFINED.items()},
}
_NO_RULES = AdmissionRules()
_POLICIES = frozenset((r.NETWORK_POLICIES, *DEFINED))


def admit(resource: Resource, obj: Object, old: ReadOnlyObject | None, store: Store) -> None:
    """Fill in an object that is about to be stored; ApiError 422 with everything that is wrong with it."""
    rules = _RULES.get(resource, _NO_RULES)
    rules.default(obj)
    causes: list[FieldError] = []
    if resource not in _POLICIES:  # their check covers the metadata
        causes += _check_metadata(resource, obj["metadata"])
    causes += rules.check(obj, old)
    if not causes and resource is r.SERVICES:
        causes += defaults.allocate(obj, old, store)
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
    elif resource is r.SERVICES:
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
    if resource is r.NAMESPACES:
        return names.dns_label
    if resource is r.SERVICES:
        return _service_name
    if resource.group == "rbac.authorization.k8s.io":
        return lambda name: ["may not contain '/' or '%'"] if set(name) & set("/%") else []
    return names.dns_subdomain


def _service_name(name: str) -> Sequence[str]:
    """A DNS label of RFC 1035, which begins with a letter."""
    problems = names.dns_label(name)
    return problems or (() if name[0].isalpha() else ("must start with an alphabetic character",))
