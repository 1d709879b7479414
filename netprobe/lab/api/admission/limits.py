"""LimitRanges: what a namespace gives to containers that say nothing, and how much it lets them have.

The plugin LimitRanger's rules and words (plugin/pkg/admission/limitranger), for containers and pods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from netprobe.lab.api.admission import quantity
from netprobe.lab.api.admission.quantity import Amounts
from netprobe.model.objects import ReadOnlyObject

_ANNOTATION = "kubernetes.io/limit-ranger"


def default_limit_range(obj: dict[str, Any]) -> None:
    """A default that is not given follows from the bounds (pkg/apis/core/v1/defaults.go)."""
    for item in obj["spec"].get("limits") or ():
        if item["type"] != "Container":
            continue
        default = item.setdefault("default", {})
        for name, most in (item.get("max") or {}).items():
            default.setdefault(name, most)
        request = item.setdefault("defaultRequest", {})
        for name, value in (*default.items(), *(item.get("min") or {}).items()):
            request.setdefault(name, value)
        for key in ("default", "defaultRequest"):
            if not item[key]:
                del item[key]


def default_resources(pod: dict[str, Any], ranges: Iterable[ReadOnlyObject]) -> None:
    """Give the containers of a new pod the defaults of its namespace, and note that in an annotation."""
    notes = []
    for item in _items(ranges, "Container"):
        for key, kind in (("initContainers", "init container"), ("containers", "container")):
            for container in pod["spec"].get(key) or ():
                resources = container.setdefault("resources", {})
                for what, given in (("request", item.get("defaultRequest")), ("limit", item.get("default"))):
                    own = resources.get(f"{what}s") or {}
                    if added := {name: value for name, value in (given or {}).items() if name not in own}:
                        resources[f"{what}s"] = {**own, **added}
                        notes.append(f"{', '.join(sorted(added))} {what} for {kind} {container['name']}")
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(notes)}"


def problems(pod: ReadOnlyObject, ranges: Iterable[ReadOnlyObject]) -> list[str]:
    """What of a pod is out of the bounds of its namespace."""
    found: list[str] = []
    ranges = list(ranges)
    spec = pod["spec"]
    for item in _items(ranges, "Container"):
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            given = container.get("resources") or {}
            found += _outside(
                item, quantity.amounts(given.get("requests")), quantity.amounts(given.get("limits"))
            )
    for item in _items(ranges, "Pod"):
        found += _outside(item, quantity.of_pod(spec, "requests"), quantity.of_pod(spec, "limits"))
    return found


def _items(ranges: Iterable[ReadOnlyObject], kind: str) -> Iterator[ReadOnlyObject]:
    for one in ranges:
        yield from (item for item in one["spec"].get("limits") or () if item["type"] == kind)


def _outside(item: ReadOnlyObject, requests: Amounts, limits: Amounts) -> Iterator[str]:
    kind = item["type"]
    for name, least in sorted((item.get("min") or {}).items()):
        bound = quantity.parse(least)
        given = {"request": requests.get(name), "limit": limits.get(name)}
        yield from _bounded(f"minimum {name} usage per {kind} is {least}", given, bound.__gt__)
    for name, most in sorted((item.get("max") or {}).items()):
        bound = quantity.parse(most)
        given = {"limit": limits.get(name), "request": requests.get(name)}
        yield from _bounded(f"maximum {name} usage per {kind} is {most}", given, bound.__lt__)
    for name, most in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        text = f"{name} max limit to request ratio per {kind} is {most}"
        if not requests.get(name) or name not in limits:
            yield f"{text}, but no request is specified or request is 0"
        elif (ratio := limits[name] / requests[name]) > quantity.parse(most):
            yield f"{text}, but provided ratio is {float(ratio):.6f}"


def _bounded(
    text: str, given: Mapping[str, Fraction | None], beyond: Callable[[Fraction], bool]
) -> Iterator[str]:
    """The first of the amounts, in their order, must be there; none may be beyond the bound."""
    first = next(iter(given))
    if given[first] is None:
        yield f"{text}.  No {first} is specified"
        return
    for what, amount in given.items():
        if amount is not None and beyond(amount):
            yield f"{text}, but {what} is {quantity.render(amount)}"
            return
