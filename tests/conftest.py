"""What all tests share: a lab, golden files, and how hypothesis chooses."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings

from netprobe.errors import LabError
from netprobe.kube import connect
from netprobe.lab import Lab, LabOptions, start
from netprobe.probe.run_objects import OUTSIDE

Golden: TypeAlias = Callable[[str, str], None]
Answers: TypeAlias = Callable[[str, Callable[[str], Iterable[str]]], None]

# The same examples on every machine, however loaded it is; `make test-lab-fuzz` tries new ones.
settings.register_profile("always the same", derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("new ones", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("new ones" if os.environ.get("NETPROBE_FUZZ_SECONDS") else "always the same")


LONGEST = (
    "debug/test_causes.py",
    "test_pytest_plugin.py",
    "run/test_interrupted.py",
    "contract/test_api.py",
    "conformance/test_lab.py",
    "run/test_faults.py",
    "run/test_main_job.py",
    "conformance/test_cases.py",
    "contract/test_workloads.py",
    "property/test_evaluators.py",
    "explain/test_advice.py",
    "doctor/test_command.py",
    "run/test_in_place.py",
    "run/test_permissions.py",
    "scenarios/test_lab.py",
    "debug/test_labs.py",
    "lab/test_launch.py",
    "debug/test_live.py",
    "lab/test_services.py",
    "lab/test_trace.py",
    "report/test_in_browser.py",
)
"""The files that take longest, in this order. A worker runs whole files: no long one may begin last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first; what sends packets is tried again when it fails, which the summary tells.

    Such tests wait for real processes, and a machine that is shared may stop them for seconds.
    """
    folder = Path(__file__).parent
    place = {folder / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew; read the diff")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(name, text)`: the text equals the file `golden/NAME` next to the test."""

    def check(name: str, text: str) -> None:
        path = request.path.parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is not there: pytest --update-golden writes it"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs (pytest --update-golden)"

    return check


@pytest.fixture
def answers(request: pytest.FixtureRequest) -> Answers:
    """`answers(name, ask)`: the file next to the test has texts and what `ask` answers to each.

    A text begins after a line of `===` and perhaps a title; each answer to it is a line of `=>`.
    """

    def check(name: str, ask: Callable[[str], Iterable[str]]) -> None:
        path, found = request.path.with_name(name), ""
        text = path.read_text(encoding="utf-8")
        for part in re.split("^===", text, flags=re.MULTILINE)[1:]:
            title, *lines = (line for line in part.splitlines(keepends=True) if not line.startswith("=>"))
            said = "".join(f"=> {answer}\n" for answer in ask("".join(lines)))
            found += f"==={title}{''.join(lines)}{said}"
        if request.config.getoption("--update-golden"):
            path.write_text(found, encoding="utf-8")
            return
        assert found.splitlines() == text.splitlines(), f"{name} differs (pytest --update-golden)"

    return check


@pytest.fixture(scope="session")
def lab_of_worker() -> Iterator[Lab]:
    """One lab of two nodes for all tests of a worker, by name, as `netprobe lab up` starts one."""
    try:
        made = start(LabOptions(name=f"tests-{os.getpid()}", nodes=2))
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


@pytest.fixture(scope="session")
def lab(lab_of_worker: Lab) -> Lab:
    return lab_of_worker


@pytest.fixture(scope="module", autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module that leaves something on the lab of its worker fails, and not the one that comes after it."""
    module = [item for item in request.session.items if item.path == request.path]
    if not any("lab_of_worker" in getattr(item, "fixturenames", ()) for item in module):
        yield
        return
    made: Lab = request.getfixturevalue("lab_of_worker")
    before = asyncio.run(_outside_namespaces(made))
    yield
    end = time.monotonic() + 60
    while (after := asyncio.run(_outside_namespaces(made))) != before and time.monotonic() < end:
        time.sleep(0.2)  # namespaces go in their own time
    assert after == before, "left on the lab, or gone from it"


async def _outside_namespaces(lab: Lab) -> set[str]:
    """Names of namespaces, definitions, and objects of cluster-wide kinds; nodes with what tests change."""
    async with connect(lab.kubeconfig) as cluster:
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        paths = ["/api/v1/namespaces", crds]
        for crd in (await cluster.raw(crds))["items"]:
            spec = crd["spec"]
            if spec["scope"] == "Cluster":
                paths.append(f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")
        found = {
            f"{path}/{o['metadata']['name']}" for path in paths for o in (await cluster.raw(path))["items"]
        }
        found.discard(f"/api/v1/namespaces/{OUTSIDE}")  # all runs share it: it comes with the first host
        for node in (await cluster.raw("/api/v1/nodes"))["items"]:
            meta = node["metadata"]
            found.add(f"{meta['name']} {meta.get('labels')} {meta.get('annotations')} {node['spec']}")
        return found


def schema(document: str = "report") -> Path:
    """The file of a JSON schema in docs/."""
    return Path(__file__).parent.parent / "docs" / f"{document}.schema.json"
