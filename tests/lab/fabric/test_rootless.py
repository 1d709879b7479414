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

FUNCTIONS = (
    test_places.test_both_families_are_decided_each_for_itself,
    test_services.test_both_families_of_a_service_and_of_names,
    test_sandbox.test_an_exec_is_nobody_and_can_become_nobody_else,
    test_sandbox.test_nothing_of_the_machine_can_be_written_or_looked_into,
    test_sandbox.test_a_terminal_has_a_name_a_size_and_an_end,
    test_sandbox.test_kill_takes_the_whole_family,
)
"""What the rights of a user could change: policies, Services, and how a pod's processes are confined."""


@pytest.fixture(scope="module")
def prefix() -> Iterator[list[str]]:
    with rootless.home() as home:
        yield rootless.prefix(home)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_without_root(function: object, prefix: list[str]) -> None:
    inner, options = function.inside, function.options  # type: ignore[attr-defined]
    assert isinstance(options, LabOptions)
    run_inside(inner.__module__, inner.__name__, options, prefix)
