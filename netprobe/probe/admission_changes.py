"""What became of the things that a run asked for: admission and controllers may add to them. Pure.

Labels that they change are what policies see, so they are handed on. Containers that nobody asked for, and
policies that are not the run's, change what a probe means: each is told in one sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.probe.run_objects import CHANGE, CONTAINER, RUN


def labels(obj: Object) -> Labels:
    """The labels of a live object, without those by which the run knows its own."""
    have: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return {key: value for key, value in have.items() if key != RUN and not key.startswith(CHANGE)}


def sidecars(pods: Iterable[Object]) -> list[str]:
    """One sentence where pods have containers that the run did not ask for; usually none."""
    names = Counter(name for pod in pods for name in strangers(pod))
    if not names:
        return []
    counted = ", ".join(f"{name} ({count})" for name, count in sorted(names.items()))
    sentence = (
        f"admission put containers into the probe pods: {counted}. A proxy that answers for the destination "
        "makes every connection look open; exempt what carries the label netprobe.dev/run, or what was "
        "observed says little"
    )
    return [sentence]


def strangers(pod: Object) -> list[str]:
    """The names of a probe pod's containers that run beside the probe."""
    spec = pod["spec"]
    beside = [c["name"] for c in spec["containers"] if c["name"] != CONTAINER]
    return beside + [
        c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"
    ]


def relabelled(pairs: Iterable[tuple[Object, Object]]) -> list[str]:
    """One sentence where pods, each as asked for and as it is, have other labels now; usually none.

    Shadow pods that policies can tell from the real ones stand for nobody.
    """
    changed: dict[str, set[str]] = {}
    for asked, got in pairs:
        wanted, have = labels(asked), labels(got)
        keys = {key for key in {*wanted, *have} if wanted.get(key) != have.get(key)}
        if keys:
            changed.setdefault(got["metadata"]["namespace"], set()).update(keys)
    return [
        f"admission changed labels of shadow pods of {namespace}: {', '.join(sorted(keys))}. Where a policy "
        "looks at one of them, what was observed is not what the real pod sees"
        for namespace, keys in changed.items()
    ]


def too_much(refusal: str) -> bool:
    """Whether a pod was refused for its processors and memory, as a LimitRange or a quota words it."""
    return any(word in refusal for word in ("exceeded quota", "usage per ", "limit to request ratio"))


def policies(found: Iterable[Object], run: str) -> list[str]:
    """One sentence where the run's namespaces hold policies that are not the run's; usually none."""
    foreign = sorted(
        f"{meta['namespace']}/{meta['name']}"
        for meta in (obj["metadata"] for obj in found)
        if (meta.get("labels") or {}).get(RUN) != run
    )
    if not foreign:
        return []
    shown = ", ".join(foreign[:4]) + (f" and {len(foreign) - 4} more" if len(foreign) > 4 else "")
    sentence = (
        f"something puts NetworkPolicies of its own into new namespaces: {shown}. What was observed includes "
        "them, what is simulated does not, and paths that they close are never seen to work; exempt the "
        "run's namespaces (they carry the label netprobe.dev/run)"
    )
    return [sentence]
