"""Tests of the network run by an ordinary user, in a user namespace."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from types import ModuleType

import pytest

from netprobe.lab.options import LabOptions
from tests.lab import rootless
from tests.lab.fabric import (
    test_places,
    test_sandbox,
    test_semantics,
    test_services,
)
from tests.lab.fabric.inside import run_inside

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests themselves run as an ordinary user already"),
]


def _all(*modules: ModuleType) -> Iterator[object]:
    for module in modules:
        for name, function in vars(module).items():
            if name.startswith("test_") and hasattr(function, "inside"):
                marks = getattr(function, "pytestmark", ())
                yield pytest.param(module.__name__, name, function.options, id=name, marks=marks)


@pytest.mark.parametrize(
    ("module", "function", "options"),
    list(_all(test_places, test_sandbox, test_services)),
)
def test_without_root(module: str, function: str, options: LabOptions) -> None:
    with rootless.home() as home:
        run_inside(module, function, options, rootless.prefix(home))


def test_semantics_without_root() -> None:
    options = LabOptions(nodes=2, deny_with="reject")
    with rootless.home() as home:
        said = run_inside(test_semantics.__name__, "observe", options, rootless.prefix(home))
    assert dict(json.loads(said)) == {sentence: row for sentence, _, _, row in test_semantics.CASES}
