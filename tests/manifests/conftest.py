"""Manifests as text, loaded from a file of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from netprobe.errors import InputError
from netprobe.manifests import Loaded, load


class Read(Protocol):
    def __call__(self, text: str, name: str = "m.yaml") -> Loaded: ...


class Problems(Protocol):
    def __call__(self, text: str, name: str = "m.yaml") -> list[str]: ...


def places(problems: list[str]) -> list[str]:
    """File, line, column and path of each problem, without what is wrong with it."""
    return list(dict.fromkeys(" ".join(problem.split(": ")[:2]) for problem in problems))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def loaded(text: str, name: str = "m.yaml") -> Loaded:
        path = tmp_path / name
        path.write_text(text)
        return load([path])

    return loaded


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """What is wrong with a text, as a user sees it, without the folder."""

    def found(text: str, name: str = "m.yaml") -> list[str]:
        path = tmp_path / name
        path.write_bytes(text.encode())
        with pytest.raises(InputError) as caught:
            load([path])
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return found
