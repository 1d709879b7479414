"""pods/ephemeralcontainers: what kubectl debug asks for."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.api.conftest import Api

PODS = "/api/v1/namespaces/{namespace}/pods"
STRATEGIC = "application/strategic-merge-patch+json"
SHELL = {"name": "shell", "image": "x", "stdin": True, "command": ["sh", "-c", "echo debugged; exit 3"]}


async def add(api: Api, *containers: dict[str, Any], status: int = 200) -> dict[str, Any]:
    patch = json.dumps({"spec": {"ephemeralContainers": containers}}).encode()
    got, answer = await api.ask("PATCH", f"{PODS}/p/ephemeralcontainers", patch, kind=STRATEGIC)
    assert got == status, answer
    return answer


CANNOT: list[tuple[dict[str, Any], str]] = [
    ({"name": "c"}, "name"),
    ({"name": "A B"}, "name"),
    ({"image": ""}, "image"),
    ({"ports": [{"containerPort": 80}]}, "ports"),
]


async def test_what_cannot_be_added_is_reported_with_its_place(pod: Api) -> None:
    for container, place in CANNOT:
        refusal = await add(pod, {**SHELL, **container}, status=422)
        fields = [cause["field"] for cause in refusal["details"]["causes"]]
        assert fields == [f"spec.ephemeralContainers[0].{place}"]


async def test_what_was_added_stays_as_it_is(pod: Api) -> None:
    await add(pod, SHELL)
    added = await add(pod, {**SHELL, "name": "other"})
    assert [c["name"] for c in added["status"]["ephemeralContainerStatuses"]] == ["shell", "other"]
    refusal = await add(pod, {**SHELL, "image": "another"}, status=422)
    assert 'existing ephemeral containers "shell" may not be' in refusal["message"]
