"""CronJobs by a clock that the test sets: which times a schedule has, and what a CronJob makes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from netprobe.lab.schedule import Schedule, ScheduleError
from netprobe.model.objects import Object
from tests.lab.api.clock import SetClock
from tests.lab.api.conftest import Api, running

param = pytest.param
JOBS = "/apis/batch/v1/namespaces/default/jobs"
CRON = "/apis/batch/v1/namespaces/default/cronjobs"

TIMES = [  # the first three after 2026-03-01 12:00 UTC, a Sunday
    param("*/20 * * * *", "", "03-01T12:20 03-01T12:40 03-01T13:00", id="a step"),
    param("0 3 * * *", "", "03-02T03:00 03-03T03:00 03-04T03:00", id="every night"),
    param("@hourly", "", "03-01T13:00 03-01T14:00 03-01T15:00", id="@hourly"),
    param("@weekly", "", "03-08T00:00 03-15T00:00 03-22T00:00", id="@weekly"),
    param("0 9 * * MON-FRI", "", "03-02T09:00 03-03T09:00 03-04T09:00", id="days by name"),
    param("0 0 1 feb,jul ?", "", "07-01T00:00 02-01T00:00 07-01T00:00", id="months by name, a question mark"),
    param("0 0 13 * 5", "", "03-06T00:00 03-13T00:00 03-20T00:00", id="day of month or of week"),
    param("0 3 * * *", "Europe/Berlin", "03-02T02:00 03-03T02:00 03-04T02:00", id="a time zone"),
    param("@every 1h30m", "", "03-01T13:30 03-01T15:00 03-01T16:30", id="@every"),
]


@pytest.mark.parametrize(("text", "zone", "times"), TIMES)
def test_the_times_of_a_schedule(text: str, zone: str, times: str) -> None:
    start = SetClock().now()
    found = islice(Schedule(text, zone).after(start), 3)
    assert " ".join(f"{time.astimezone(start.tzinfo):%m-%dT%H:%M}" for time in found) == times


@pytest.mark.parametrize(("text", "zone", "times"), TIMES)
def test_the_newest_time_is_the_last_of_them(text: str, zone: str, times: str) -> None:
    schedule, start = Schedule(text, zone), SetClock().now()
    first, second = islice(schedule.after(start), 2)
    assert schedule.newest(start, start) is None
    assert schedule.newest(start, first) == first
    assert schedule.newest(start, second.replace(microsecond=1)) == second
    assert schedule.newest(first, first) is None


@pytest.mark.parametrize(
    ("text", "zone", "problem"),
    [
        ("* * * *", "", "expected exactly 5 fields, found 4: [* * * *]"),
        ("0 0 0 * * *", "", "expected exactly 5 fields, found 6: [0 0 0 * * *]"),
        ("60 * * * *", "", "Bad minute"),
        ("0 0 L * *", "", "failed to parse L"),
        ("0 0 * * 5#2", "", "failed to parse 5#2"),
        ("0 0 * * 7", "", "end of range (7) above maximum (6): 7"),
        ("@never", "", "unrecognized descriptor: @never"),
        ("@every week", "", 'failed to parse duration @every week: time: invalid duration "week"'),
        ("@daily", "Nowhere/Here", "unknown time zone Nowhere/Here"),
        ("@daily", "../etc/passwd", "unknown time zone ../etc/passwd"),
    ],
)
def test_what_is_no_schedule(text: str, zone: str, problem: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Schedule(text, zone)
    assert str(caught.value) == problem


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def api(tmp_path: Path, clock: SetClock) -> AsyncIterator[Api]:
    async with running(tmp_path, clock=clock) as started:
        yield started


async def cron_job(api: Api, **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}
    job = {"metadata": {"labels": {"app": "n"}}, "spec": {"template": template}}
    body = {"metadata": {"name": "n"}, "spec": {"schedule": "0 * * * *", "jobTemplate": job, **spec}}
    return await api.ok("POST", CRON, body)


async def look(api: Api, clock: SetClock, **time: float) -> None:
    """Some time goes by; whoever keeps CronJobs looks at them again, since one of them changes."""
    clock.pass_by(**time)
    patch = {"metadata": {"annotations": {"time": clock.now().isoformat()}}}
    await api.ask("PATCH", f"{CRON}/n", patch, kind="application/merge-patch+json")


async def names(api: Api) -> list[str]:
    return [job["metadata"]["name"] for job in (await api.get(JOBS))["items"]]


def minutes(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp()) // 60


async def end(api: Api, name: str, kind: str = "Complete") -> None:
    """As the controller of Jobs does where the pods have succeeded or failed."""
    at = "2026-03-01T13:10:00Z"
    condition = {"type": kind, "status": "True", "lastTransitionTime": at, "lastProbeTime": at}
    job = await api.get(f"{JOBS}/{name}")
    status = {"startTime": at, "completionTime": at, "conditions": [condition]}
    await api.ok("PUT", f"{JOBS}/{name}/status", {**job, "status": status})


async def test_a_job_at_its_time(api: Api, clock: SetClock) -> None:
    await cron_job(api)
    await look(api, clock, minutes=59)
    await look(api, clock, minutes=1)
    cron = await api.until(f"{CRON}/n", lambda cron: cron.get("status", {}).get("active"))
    name = f"n-{minutes('2026-03-01T13:00:00Z')}"
    assert await names(api) == [name]
    assert cron["status"]["lastScheduleTime"] == "2026-03-01T13:00:00Z"
    job = await api.get(f"{JOBS}/{name}")
    assert job["metadata"]["labels"]["app"] == "n"
    assert job["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-01T13:00:00Z"
    }
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronJob", "n", True)
    await end(api, name)
    cron = await api.until(f"{CRON}/n", lambda cron: not cron["status"].get("active"))
    assert cron["status"]["lastSuccessfulTime"] == "2026-03-01T13:10:00Z"
    events = (await api.get("/api/v1/events", fieldSelector="involvedObject.kind=CronJob"))["items"]
    assert [event["reason"] for event in events] == ["SuccessfulCreate", "SawCompletedJob"]


async def test_times_that_were_missed_are_one(api: Api, clock: SetClock) -> None:
    await cron_job(api)
    await look(api, clock, hours=5, minutes=30)
    await api.until(f"{CRON}/n", lambda cron: cron.get("status", {}).get("active"))
    assert await names(api) == [f"n-{minutes('2026-03-01T17:00:00Z')}"]


async def test_a_deadline_for_starting(api: Api, clock: SetClock) -> None:
    await cron_job(api, startingDeadlineSeconds=60)
    await look(api, clock, hours=1, minutes=30)
    await look(api, clock, minutes=30)
    cron = await api.until(f"{CRON}/n", lambda cron: cron.get("status", {}).get("active"))
    assert cron["status"]["lastScheduleTime"] == "2026-03-01T14:00:00Z"
    assert len(await names(api)) == 1, "13:00 was half an hour ago"


async def test_forbid_waits_for_the_one_before(api: Api, clock: SetClock) -> None:
    await cron_job(api, concurrencyPolicy="Forbid")
    await look(api, clock, hours=1)
    cron = await api.until(f"{CRON}/n", lambda cron: cron.get("status", {}).get("active"))
    await look(api, clock, hours=1)
    about = {"fieldSelector": "reason=JobAlreadyActive"}
    for _ in range(3):
        await look(api, clock, minutes=1)
    told = await api.until("/api/v1/events", lambda events: events["items"], **about)
    assert len(told["items"]) == 1
    assert len(await names(api)) == 1
    await end(api, cron["status"]["active"][0]["name"])
    await api.until(f"{CRON}/n", lambda cron: cron["status"]["lastScheduleTime"] == "2026-03-01T14:00:00Z")
    assert len(await names(api)) == 2


async def test_replace_ends_the_one_before(api: Api, clock: SetClock) -> None:
    await cron_job(api, concurrencyPolicy="Replace")
    await look(api, clock, hours=1)
    await api.until(f"{CRON}/n", lambda cron: cron.get("status", {}).get("active"))
    await look(api, clock, hours=1)
    name = f"n-{minutes('2026-03-01T14:00:00Z')}"
    await api.until(JOBS, lambda jobs: [job["metadata"]["name"] for job in jobs["items"]] == [name])
    cron = await api.get(f"{CRON}/n")
    assert [ref["name"] for ref in cron["status"]["active"]] == [name]


async def test_allow_lets_them_run_beside_each_other(api: Api, clock: SetClock) -> None:
    await cron_job(api)
    for hour in (13, 14):
        await look(api, clock, hours=1)
        await api.until(f"{JOBS}/n-{minutes(f'2026-03-01T{hour}:00:00Z')}", lambda job: job)
    cron = await api.until(f"{CRON}/n", lambda cron: len(cron["status"]["active"]) == 2)
    assert sorted(ref["name"] for ref in cron["status"]["active"]) == await names(api)


async def test_a_suspended_one_starts_nothing(api: Api, clock: SetClock) -> None:
    await cron_job(api, suspend=True)
    await look(api, clock, hours=1)
    patch = {"spec": {"suspend": False, "startingDeadlineSeconds": 60}}
    clock.pass_by(minutes=30)
    await api.ask("PATCH", f"{CRON}/n", patch, kind="application/merge-patch+json")
    await look(api, clock, minutes=30)
    cron = await api.until(f"{CRON}/n", lambda cron: cron.get("status", {}).get("active"))
    assert cron["status"]["lastScheduleTime"] == "2026-03-01T14:00:00Z"
    assert len(await names(api)) == 1


async def test_history_has_its_limits(api: Api, clock: SetClock) -> None:
    await cron_job(api, successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0)
    for _ in range(3):
        await look(api, clock, hours=1)
        cron = await api.until(f"{CRON}/n", lambda cron: cron.get("status", {}).get("active"))
        last = cron["status"]["active"][0]["name"]
        await end(api, last)
        await api.until(f"{CRON}/n", lambda cron: not cron["status"].get("active"))
    await api.until(JOBS, lambda jobs: len(jobs["items"]) == 1)
    assert await names(api) == [last]
    await look(api, clock, hours=1)
    cron = await api.until(f"{CRON}/n", lambda cron: cron["status"].get("active"))
    failed = cron["status"]["active"][0]["name"]
    await end(api, failed, "Failed")
    await api.gone(f"{JOBS}/{failed}")
    assert await names(api) == [last]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"schedule": "often"},
            'spec.schedule: Invalid value: "often": expected exactly 5 fields, found 1: ',
        ),
        (
            {"schedule": "TZ=UTC 0 * * * *"},
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
        ({"timeZone": "Nowhere"}, 'spec.timeZone: Invalid value: "Nowhere": unknown time zone Nowhere'),
        ({"timeZone": ""}, 'spec.timeZone: Invalid value: "": must be nil or non-empty string'),
        ({"concurrencyPolicy": "Maybe"}, 'supported values: "Allow", "Forbid", "Replace"'),
        ({"failedJobsHistoryLimit": -1}, "must be greater than or equal to 0"),
    ],
)
async def test_what_is_refused(api: Api, spec: Object, problem: str) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}
    body = {"schedule": "@daily", "jobTemplate": {"spec": {"template": template}}, **spec}
    said = await api.fails("POST", CRON, {"metadata": {"name": "n"}, "spec": body})
    assert said["code"] == 422
    assert problem in said["message"]
