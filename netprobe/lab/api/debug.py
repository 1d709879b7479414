"""pods/ephemeralcontainers: adds containers to a running pod (kubectl debug).

Like all containers of the lab they run no image; with `stdin: true` they run their command for the client
that attaches.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiohttp import hdrs, web

from netprobe.lab import podstatus
from netprobe.lab.api import patch, requests
from netprobe.lab.api.operations import Operations, lab_itself, now
from netprobe.lab.api.requests import RequestTarget, reply
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.status import invalid
from netprobe.lab.fabric.state import Fabric
from netprobe.model.objects import Object
from netprobe.policies import names as rules
from netprobe.policies.fields import FieldError

_PLACE = "spec.ephemeralContainers"


async def containers(
    request: web.BaseRequest, operations: Operations, _: Fabric, target: RequestTarget
) -> web.StreamResponse:
    """The pod with the containers that the request adds; ApiError 422 if one is not valid."""
    stored = operations.get(PODS, target.namespace, target.name)
    if request.method == hdrs.METH_GET:
        return reply(requests.shown(request, target, stored))
    by, old = requests.writer(request), stored.object
    if request.method == hdrs.METH_PATCH:
        kind = requests.content_type(request)
        raw = patch.changed(operations, target, kind, await request.read(), by)
    else:
        raw = await requests.body(request, by)
    requested = operations.typed(PODS, raw, by).get("spec", {}).get("ephemeralContainers") or []
    known: Sequence[Object] = old["spec"].get("ephemeralContainers", ())
    if causes := list(_problems(requested, known, old["spec"])):
        raise invalid(PODS, target.name, causes)
    fresh = [container for container in requested if container not in known]
    pod = copy.deepcopy(old)
    pod["spec"]["ephemeralContainers"] = [*known, *fresh]
    if not by.dry_run:
        podstatus.ephemeral_added(pod, now())
        pod = operations.replace(PODS, old, pod, lab_itself())
    return reply(requests.rendered(request, target, pod), 200, by)


def _problems(
    requested: Sequence[Mapping[str, Any]], known: Sequence[Object], spec: Mapping[str, Any]
) -> Iterator[FieldError]:
    gone = [container["name"] for container in known if container not in requested]
    if gone:
        text = f'Forbidden: existing ephemeral containers "{gone[0]}" may not be removed or changed'
        yield FieldError(_PLACE, text, "FieldValueForbidden")
    names = [
        container["name"] for container in (*spec["containers"], *spec.get("initContainers", ()), *known)
    ]
    for index, container in enumerate(requested):
        if container in known:
            continue
        place, name = f"{_PLACE}[{index}]", container.get("name", "")
        if not name:
            yield FieldError(f"{place}.name", "Required value", "FieldValueRequired")
        for problem in rules.dns_label(name) if name else ():
            yield FieldError(f"{place}.name", f'Invalid value: "{name}": {problem}', "FieldValueInvalid")
        if name in names:
            yield FieldError(f"{place}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
        names.append(name)
        if not container.get("image"):
            yield FieldError(f"{place}.image", "Required value", "FieldValueRequired")
        for field in ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources"):
            if container.get(field):
                text = "Forbidden: cannot be set for an Ephemeral Container"
                yield FieldError(f"{place}.{field}", text, "FieldValueForbidden")
