"""What admission and controllers changed of the objects that a run created. Pure.

Policies see changed labels, so these are used from then on. Added containers, and policies that are not the
run's, change what a probe means: each is reported in one sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.model.text import listed
from netprobe.probe.run_objects import CHANGE, CONTAINER, RUN


def labels(obj: Object) -> Labels:
    """The labels of a live object, without those that mark the run's own objects."""
    have: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return {key: value for key, value in have.items() if key != RUN and not key.startswith(CHANGE)}


def sidecars(pods: Iterable[Object]) -> list[str]:
    """One sentence if pods have containers that the run did not create; usually none."""
    names = Counter(name for pod in pods for name in _added_containers(pod))
    if not names:
        return []
    counted = ", ".join(f"{name} ({count})" for name, count in sorted(names.items()))
    sentence = (
        f"admission added containers to the probe pods: {counted}. A proxy that answers for the destination "
        "makes every connection look open, so the observations may be wrong; exempt pods with the label "
        "netprobe.dev/run from the injection"
    )
    return [sentence]


def _added_containers(pod: Object) -> list[str]:
    spec = pod["spec"]
    added = [c["name"] for c in spec["containers"] if c["name"] != CONTAINER]
    return added + [c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]


def relabelled(pairs: Iterable[tuple[Object, Object]]) -> list[str]:
    """One sentence for each namespace whose shadow pods have other labels than they were created with.

    `pairs`: each pod as it was created and as it is. Policies may treat it differently from the real pod.
    """
    changed: dict[str, set[str]] = {}
    for created, live in pairs:
        wanted, have = labels(created), labels(live)
        keys = {key for key in {*wanted, *have} if wanted.get(key) != have.get(key)}
        if keys:
            changed.setdefault(live["metadata"]["namespace"], set()).update(keys)
    return [
        f"admission changed labels of shadow pods in {namespace}: {', '.join(sorted(keys))}. Where a policy "
        "selects by one of them, the observation may differ from what the real pod sees"
        for namespace, keys in changed.items()
    ]


def too_much(refusal: str) -> bool:
    """Whether a pod was refused for its processors and memory, as a LimitRange or a quota words it."""
    return any(word in refusal for word in ("exceeded quota", "usage per ", "limit to request ratio"))


def policies(found: Iterable[Object], run: str) -> list[str]:
    """One sentence if the run's namespaces have policies that are not the run's; usually none."""
    foreign = sorted(
        f"{meta['namespace']}/{meta['name']}"
        for meta in (obj["metadata"] for obj in found)
        if (meta.get("labels") or {}).get(RUN) != run
    )
    if not foreign:
        return []
    sentence = (
        f"a controller adds NetworkPolicies to new namespaces: {listed(foreign, 4)}. They affect the "
        "observation but not the simulation, and paths that they close cannot be proven; exempt the "
        "run's namespaces, which have the label netprobe.dev/run"
    )
    return [sentence]
