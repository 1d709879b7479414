"""CustomResourceDefinitions: while one exists, the lab serves its kind and stores its objects.

A new lab has the definitions of the policy kinds that it enforces. While one is missing, its kind is not
served, as in a cluster that does not know it. Other kinds are ignored: of their versions only the storage
version is served, and the schema is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.resources import DEFINED, DEFINITIONS, Resource, older_versions
from netprobe.lab.api.store import Store, StoredChange
from netprobe.model.objects import Object, ReadOnlyObject
from netprobe.policies.fields import FieldError, invalid, required

_POLICY_API = "policy.networking.k8s.io"
_BUNDLE = {"bundle-version": "v0.3.0", "channel": "experimental"}
"""The release of network-policy-api whose kinds these are; its tools read these annotations."""


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
            yield required(f"spec.{path}", "")
    name = definition["metadata"]["name"]
    if name != f"{names.get('plural')}.{spec.get('group')}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def serve_custom_kinds(store: Store) -> None:
    """Keep the catalog of a store up to date with its definitions. A built-in kind is never replaced."""

    def note(change: StoredChange) -> None:
        if change.resource is not DEFINITIONS:
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
        "apiVersion": DEFINITIONS.api_version,
        "kind": DEFINITIONS.kind,
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
