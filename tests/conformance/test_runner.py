"""What the runner does where something goes wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netprobe.conformance import late
from netprobe.conformance.late import Latecomers
from netprobe.conformance.runner import abreast
from netprobe.errors import ClusterError, ConflictError
from netprobe.probe import PodOptions
from tests.conformance.samples import CASE, SITE


async def test_where_one_worker_fails_the_others_are_ended_first() -> None:
    ended = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ClusterError("gone")

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ClusterError, match="gone"):
        await abreast([works(), fails(), works()])
    assert ended == [True, True]


async def test_a_late_pod_waits_for_the_last_case_s_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "POLL_S", 0)
    calls: list[str] = []

    class Busy:
        run = "abcd1234"

        async def create(self, obj: dict[str, Any]) -> dict[str, Any]:
            calls.append(obj["kind"])
            if len(calls) < 3:
                raise ConflictError("exists")
            return obj

    busy: Any = Busy()
    await Latecomers(busy, busy, CASE, SITE, options=PodOptions())._create({"kind": "Pod"})
    assert calls == ["Pod"] * 3
