"""What all tests share: a lab, golden files, and how hypothesis chooses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings

from netprobe.errors import LabError
from netprobe.lab import Lab, LabOptions, start

Golden: TypeAlias = Callable[[str, str], None]

# The same examples on every machine, however loaded it is; `make test-lab-fuzz` tries new ones.
settings.register_profile("always the same", derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("new ones", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("new ones" if os.environ.get("NETPROBE_FUZZ_SECONDS") else "always the same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What sends packets is tried again when it fails; the summary tells of every rerun.

    Such tests wait for real processes, and a machine that is shared may stop them for seconds.
    """
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


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One lab of two nodes for all tests of a worker, by name, as `netprobe lab up` starts one."""
    try:
        made = start(LabOptions(name=f"tests-{os.getpid()}", nodes=2))
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


def schema(document: str = "report") -> Path:
    """The file of a JSON schema in docs/."""
    return Path(__file__).parent.parent / "docs" / f"{document}.schema.json"
