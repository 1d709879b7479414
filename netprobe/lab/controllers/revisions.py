"""The history of StatefulSets and DaemonSets: a ControllerRevision for each template that they had.

`kubectl rollout history` lists them, and `kubectl rollout undo` patches the object with the `data` of one.
"""

from __future__ import annotations

import copy
from collections.abc import Collection

from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import CONTROLLER_REVISIONS, Resource
from netprobe.lab.api.store import Key
from netprobe.lab.controllers import owned
from netprobe.model.objects import Object

LABEL = "controller-revision-hash"


def keep(operations: Operations, resource: Resource, owner: Object, used: Collection[str]) -> None:
    """See that the owner's template has a revision, the newest, and that there are no more than it asks for.

    `used` are the labels of its pods, whose revisions stay.
    """
    template = owner["spec"]["template"]
    digest = owned.template_hash(template)
    name = f"{owner['metadata']['name']}-{digest}"
    known = owned.dependents(operations, CONTROLLER_REVISIONS, owner)
    known.sort(key=lambda one: int(one["revision"]))
    if not known or known[-1]["metadata"]["name"] != name:
        number = known[-1]["revision"] + 1 if known else 1
        again = next((one for one in known if one["metadata"]["name"] == name), None)
        if again is None:
            made = _made(resource, owner, name, digest)
            operations.create(
                CONTROLLER_REVISIONS,
                owner["metadata"]["namespace"],
                {**made, "revision": number},
                lab_itself(),
            )
        else:
            key = Key(owner["metadata"]["namespace"], name)
            operations.modify(CONTROLLER_REVISIONS, key, lambda one: one.update(revision=number))
    spare = [one for one in known if one["metadata"]["name"] != name and not _is_used(one, used)]
    for one in spare[: max(0, len(spare) - owner["spec"].get("revisionHistoryLimit", 10))]:
        metadata = one["metadata"]
        operations.delete(
            CONTROLLER_REVISIONS, metadata["namespace"], metadata["name"], Deletion(), lab_itself()
        )


def _made(resource: Resource, owner: Object, name: str, digest: str) -> Object:
    template = copy.deepcopy(owner["spec"]["template"])
    metadata = {
        "name": name,
        "labels": {**template.get("metadata", {}).get("labels", {}), LABEL: digest},
        "ownerReferences": [owned.reference(resource, owner)],
    }
    if annotations := owned.passed_on(owner):
        metadata["annotations"] = annotations
    return {
        "apiVersion": CONTROLLER_REVISIONS.api_version,
        "kind": CONTROLLER_REVISIONS.kind,
        "metadata": metadata,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
    }


def _is_used(revision: Object, used: Collection[str]) -> bool:
    """Pods of a StatefulSet carry the name of a revision, those of a DaemonSet its hash."""
    return bool({revision["metadata"]["name"], revision["metadata"]["labels"][LABEL]} & set(used))
