"""The verbs on stored objects, for the HTTP routes and for the lab's own controllers.

Nothing here awaits, so each operation is one step for everything else. Only clients can lose an update, and
they guard against it with resourceVersion.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from netprobe.lab.api import status
from netprobe.lab.api.admission import admit, warnings
from netprobe.lab.api.resources import EVENTS, NAMESPACES, PODS, SERVICES, Resource
from netprobe.lab.api.schema import ObjectDecoder, definition_of
from netprobe.lab.api.status import ApiError
from netprobe.lab.api.store import ObjectKey, Store, Stored
from netprobe.model.objects import Object
from netprobe.policies.fields import FieldError, required

_NAMES = ("name", "namespace", "generateName", "uid", "resourceVersion")
_MARKS = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_PERMANENT = {"default", "kube-public", "kube-system"}
_INVOLVED = ("name", "namespace", "uid", "resourceVersion")
_EVENTS_KEPT = 2000  # a real server forgets them after an hour
_PROPAGATION = ("Orphan", "Foreground", "Background")  # the owner goes first with Foreground too
SAFE_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so no words

Subresource = Literal["", "status"]


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Writer:
    """Who writes and how. `trusted` is the lab itself: its objects are stored as they are.

    `validation` is the parameter fieldValidation. `doubled` holds the names of fields that were given twice,
    `warnings` what the client sees along with the result.
    """

    dry_run: bool = False
    validation: str = "Warn"
    trusted: bool = False
    doubled: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Deletion:
    """DeleteOptions. `grace_s` None: the pod's own grace period. `orphan`: dependents stay."""

    grace_s: int | None = None
    orphan: bool = False
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @classmethod
    def read(cls, options: dict[str, Any]) -> Deletion:
        """From DeleteOptions; ApiError 400 for values that do not exist."""
        preconditions = options.get("preconditions") or {}
        propagation = options.get("propagationPolicy") or "Background"
        if propagation not in _PROPAGATION:
            raise status.bad_request(
                f'invalid DeleteOptions: propagationPolicy: Unsupported value: "{propagation}"'
            )
        if (dry_run := options.get("dryRun") or []) not in ([], ["All"]):
            raise status.bad_request(f"invalid DeleteOptions: dryRun: Unsupported value: {dry_run}")
        grace = options.get("gracePeriodSeconds")
        return cls(
            None if grace is None else max(0, int(grace)),
            propagation == "Orphan" or options.get("orphanDependents") is True,
            preconditions.get("uid") or "",
            preconditions.get("resourceVersion") or "",
            dry_run == ["All"],
        )


def _keep(keys: Iterable[str], old: Object, obj: Object) -> None:
    """Give `obj` the values of `old` for these keys, or remove them if it has none."""
    for key in keys:
        if key in old:
            obj[key] = old[key]
        else:
            obj.pop(key, None)


def _require_same(resource: Resource, old: Object, **given: str) -> None:
    """ApiError 409 if a precondition on an object's metadata does not hold; "" is not compared."""
    for field_, value in given.items():
        current = old["metadata"][field_]
        if value and value != current:
            label = "UID" if field_ == "uid" else "ResourceVersion"
            why = f"Precondition failed: {label} in precondition: {value}, {label} in object meta: {current}"
            raise status.conflict(resource, old["metadata"]["name"], why)


def lab_itself() -> Writer:
    return Writer(trusted=True)


class Operations:
    """Create, update and delete, with everything that the API server does around them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, resource: Resource, namespace: str, name: str) -> Stored:
        """The stored object; ApiError 404 if there is none."""
        stored = self.store.get(resource, ObjectKey(namespace, name))
        if stored is None:
            raise status.not_found(resource, name)
        return stored

    def create(self, resource: Resource, namespace: str, raw: Any, writer: Writer) -> Object:
        """Store a new object; the result is what was stored. ApiError 400, 403, 404, 409 or 422."""
        obj = self.typed(resource, raw, writer)
        metadata = obj["metadata"]
        if metadata.get("namespace", namespace) != namespace and resource.namespaced:
            raise status.bad_request(_OTHER_NAMESPACE)
        if metadata.pop("resourceVersion", None):
            raise status.bad_request("resourceVersion should not be set on objects to be created")
        self._require_namespace(resource, namespace, metadata.get("name", ""))
        if not metadata.get("name"):
            self._generate_name(resource, namespace, metadata)
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
            metadata.pop(key, None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if resource.namespaced:
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        if not writer.trusted and resource.status:
            obj.pop("status", None)
        _begin(resource, obj)
        admit(resource, obj, None, self.store)
        if self.store.get(resource, ObjectKey(metadata.get("namespace", ""), metadata["name"])) is not None:
            raise status.already_exists(resource, metadata["name"])
        if not writer.trusted:
            writer.warnings += warnings(resource, obj, None)
        if writer.dry_run:
            return obj
        return self.store.put(resource, obj).object

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        raw: Any,
        writer: Writer,
        *,
        subresource: Subresource = "",
    ) -> Object:
        """Replace an object (or its status); a given resourceVersion must be the stored one."""
        old = self.get(resource, namespace, name).object
        obj = self.typed(resource, raw, writer)
        metadata = obj["metadata"]
        if metadata.get("name", name) != name:
            got = metadata["name"]
            raise status.bad_request(
                f"the name of the object ({got}) does not match the name on the URL ({name})"
            )
        if metadata.get("namespace", namespace) != namespace:
            raise status.bad_request(_OTHER_NAMESPACE)
        if metadata.get("resourceVersion", "") not in {"", old["metadata"]["resourceVersion"]}:
            raise status.conflict(resource, name)
        _require_same(resource, old, uid=metadata.get("uid", ""))
        return self.replace(resource, old, obj, writer, subresource)

    def modify(
        self,
        resource: Resource,
        key: ObjectKey,
        change: Callable[[Object], None],
        subresource: Subresource = "",
    ) -> Object | None:
        """The lab's own update: `change` edits a copy. None if the object is gone."""
        stored = self.store.get(resource, key)
        if stored is None:
            return None
        obj = json.loads(stored.json)  # the quickest deep copy, and the text is needed anyway
        change(obj)
        return self.replace(resource, stored.object, obj, lab_itself(), subresource)

    def record(
        self, about: Object, reason: str, message: str, *, component: str, warning: bool = False
    ) -> None:
        """Store an Event about an object; if its namespace is being deleted, none is stored."""
        metadata, at = about["metadata"], now()
        event: Object = {
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}"},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                **{key: metadata[key] for key in _INVOLVED if key in metadata},
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": component},
            "reportingComponent": component,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
        with contextlib.suppress(ApiError):
            self.create(EVENTS, metadata.get("namespace", "default"), event, lab_itself())
        if self.store.count(EVENTS) > _EVENTS_KEPT:
            self.store.remove(EVENTS, self.store.key(self.store.oldest(EVENTS).object))

    def set_owners(self, resource: Resource, obj: Object, references: list[Any]) -> None:
        """The lab's own update of an object's owner references."""

        def change(copied: Object) -> None:
            copied["metadata"]["ownerReferences"] = references
            if not references:
                del copied["metadata"]["ownerReferences"]

        self.modify(resource, self.store.key(obj), change)

    def replace(
        self, resource: Resource, old: Object, obj: Object, writer: Writer, subresource: Subresource = ""
    ) -> Object:
        """Store `obj`, already typed, in place of `old`; what a client may not change is kept."""
        _keep((*_NAMES, *_MARKS), old["metadata"], obj["metadata"])
        if resource.status and not writer.trusted:
            status_only = subresource == "status"
            theirs = [key for key in old if key not in {"metadata", "status"}] if status_only else ["status"]
            _keep(theirs, old, obj)
        if resource is NAMESPACES and not writer.trusted:
            obj["spec"] = old["spec"]
        if not writer.trusted:
            admit(resource, obj, old, self.store)
            writer.warnings += warnings(resource, obj, old)
        changed = obj.get("spec") != old.get("spec") and subresource != "status"
        if changed and "generation" in old["metadata"]:
            obj["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if obj == old or writer.dry_run:
            return obj
        if _is_released(resource, obj):
            self.store.put(resource, obj)
            return self.store.remove(resource, self.store.key(obj)).object
        return self.store.put(resource, obj).object

    def delete(
        self, resource: Resource, namespace: str, name: str, deletion: Deletion, writer: Writer
    ) -> Object:
        """Begin or finish a deletion: a Status if the object is gone, else the object."""
        old = self.get(resource, namespace, name).object
        if resource is NAMESPACES and name in _PERMANENT:
            raise status.forbidden(resource, name, "this namespace may not be deleted")
        _require_same(resource, old, uid=deletion.uid, resourceVersion=deletion.resource_version)
        obj = _marked(resource, old, deletion)
        if writer.dry_run or deletion.dry_run:
            return obj if obj is not None else status.success(resource, name, old["metadata"]["uid"])
        if deletion.orphan:
            self._release_dependents(old["metadata"]["uid"])
        if obj is None or _is_released(resource, obj):
            self.store.remove(resource, ObjectKey(namespace, name))
            return status.success(resource, name, old["metadata"]["uid"])
        return obj if obj == old else self.store.put(resource, obj).object

    def remove(self, resource: Resource, obj: Object, grace_s: int | None = None) -> None:
        """The lab's own deletion of an object; ApiError 404 or 409 if it is gone or another one."""
        metadata = obj["metadata"]
        deletion = Deletion(grace_s, uid=metadata["uid"])
        self.delete(resource, metadata.get("namespace", ""), metadata["name"], deletion, lab_itself())

    def _release_dependents(self, uid: str) -> None:
        for resource in self.store.catalog:
            for stored in self.store.items(resource):
                references = stored.object["metadata"].get("ownerReferences", ())
                left = [reference for reference in references if reference["uid"] != uid]
                if len(left) < len(references):
                    self.set_owners(resource, stored.object, left)

    def typed(self, resource: Resource, raw: Any, writer: Writer) -> Object:
        """A client's object as one of this kind; ApiError 400 if it is none.

        Unknown fields are dropped with a warning, or are errors if the writer wants strict validation.
        """
        own: Object = {"apiVersion": resource.api_version, "kind": resource.kind}
        if writer.trusted:
            return {**own, **raw}
        if not isinstance(raw, Mapping):
            raise status.bad_request("the request body is not an object")
        version, kind = raw.get("apiVersion", resource.api_version), raw.get("kind", resource.kind)
        if (version, kind) != (resource.api_version, resource.kind):
            named = self.store.catalog.of_kind(version, kind)
            if named is None or named.storage is not resource:
                got = f"{raw.get('apiVersion', '')}, Kind={raw.get('kind', '')}"
                text = f"the object provided is unrecognized (must be of type {resource.kind}): got {got}"
                raise status.bad_request(text)
        decoder = ObjectDecoder(resource.kind, resource.version)
        obj = decoder.struct(dict(raw), definition_of(resource))
        problems = [f'duplicate field "{path}"' for path in writer.doubled]
        problems += [f'unknown field "{path}"' for path in decoder.unknown]
        if problems and writer.validation == "Strict":
            raise status.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                f"strict decoding error: {', '.join(problems)}"
            )
        if writer.validation == "Warn":
            writer.warnings += problems
        obj.setdefault("metadata", {})
        return own | obj

    def _require_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced:
            return
        stored = self.store.get(NAMESPACES, ObjectKey("", namespace))
        if stored is None:
            raise status.not_found(NAMESPACES, namespace)
        if "deletionTimestamp" in stored.object["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = FieldError(
                "metadata.namespace", f"namespace {namespace} is being terminated", "NamespaceTerminating"
            )
            raise status.forbidden(resource, name, why, [cause])

    def _generate_name(self, resource: Resource, namespace: str, metadata: Object) -> None:
        prefix = metadata.get("generateName")
        if not prefix:
            cause = required("metadata.name", "name or generateName is required")
            raise status.invalid(resource, "", [cause])
        place = namespace if resource.namespaced else ""
        while True:
            metadata["name"] = prefix[:58] + "".join(random.choices(SAFE_LETTERS, k=5))  # noqa: S311 (a name, not a secret)
            if self.store.get(resource, ObjectKey(place, metadata["name"])) is None:
                return


def _begin(resource: Resource, obj: Object) -> None:
    """Set the first generation, spec and status of a new object."""
    if resource.generation:
        obj["metadata"]["generation"] = 1
    if resource is PODS:
        obj["status"] = {"phase": "Pending"}
    elif resource is NAMESPACES:
        obj |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    elif resource is SERVICES:
        obj["status"] = {"loadBalancer": {}}
    elif resource.status:
        obj.setdefault("status", {})


def _marked(resource: Resource, old: Object, deletion: Deletion) -> Object | None:
    """`old` with the marks of its deletion; None if nothing holds it and it can be removed at once."""
    grace = _grace(old, deletion) if resource is PODS else 0
    finalizers = old["metadata"].get("finalizers")
    if not finalizers and not grace and resource is not NAMESPACES:
        return None
    obj = copy.deepcopy(old)
    marks = obj["metadata"]
    if "deletionTimestamp" not in marks:
        marks["deletionTimestamp"] = now()
        marks["deletionGracePeriodSeconds"] = grace
        if "generation" in marks:
            marks["generation"] += 1
    elif resource is PODS:
        marks["deletionGracePeriodSeconds"] = min(grace, marks.get("deletionGracePeriodSeconds", grace))
    if resource is NAMESPACES:
        marks.pop("deletionGracePeriodSeconds", None)
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    return obj


def _grace(pod: Object, deletion: Deletion) -> int:
    """Seconds; 0 for a pod that is on no node or has ended (pkg/registry/core/pod/strategy.go)."""
    if "nodeName" not in pod["spec"] or pod["status"].get("phase") in {"Succeeded", "Failed"}:
        return 0
    if deletion.grace_s is not None:
        return deletion.grace_s
    return int(pod["spec"].get("terminationGracePeriodSeconds", 30))


def _is_released(resource: Resource, obj: Object) -> bool:
    """Whether a deletion has begun, and nothing holds the object any more."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if resource is PODS:
        return not metadata.get("deletionGracePeriodSeconds", 0)
    return resource is not NAMESPACES or not obj.get("spec", {}).get("finalizers")
