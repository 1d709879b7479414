"""A lab of both address families, for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.playground import Playground, playground


@pytest.fixture(scope="session")
def dual_stack() -> Iterator[Playground]:
    """Two nodes, whose pods have addresses of both families."""
    with playground(nodes=2, ip_families=("ipv4", "ipv6")) as made:
        yield made
