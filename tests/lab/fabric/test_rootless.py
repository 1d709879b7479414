"""Tests of the network run by an ordinary user, in a user namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from netprobe.lab.options import LabOptions
from tests.lab import rootless
from tests.lab.fabric import test_places, test_sandbox, test_services
from tests.lab.fabric.inside import run_inside

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests themselves run as an ordinary user already"),
]

OTHERS = (
    test_places.test_both_families_are_decided_each_for_itself,
    test_services.test_both_families_of_a_service_and_of_names,
)
ALL = [function for function in (*vars(test_sandbox).values(), *OTHERS) if hasattr(function, "options")]
ALL.remove(test_sandbox.test_streams_carry_megabytes_both_ways_and_end)
ALL.remove(test_sandbox.test_execs_that_are_killed_or_left_while_they_start_hold_nothing)


@pytest.fixture(scope="module")
def prefix() -> Iterator[list[str]]:
    with rootless.home() as home:
        yield rootless.prefix(home)


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
def test_without_root(function: object, prefix: list[str]) -> None:
    inner, options = function.inside, function.options  # type: ignore[attr-defined]
    assert isinstance(options, LabOptions)
    run_inside(inner.__module__, inner.__name__, options, prefix)
