"""Random clusters on the lab: the kernel's packets and the simulator agree in every cell.

Policy is worked out twice, as packet filter rules and as set arithmetic, by code that shares only the model
and the reading of manifests. A world in every test run; `make test-lab-fuzz` plays for minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from netprobe.errors import LabError
from netprobe.lab import LabOptions, start
from tests.property.arena import Terms
from tests.property.fuzz import enough, fuzz
from tests.property.strategies import LAB

pytestmark = pytest.mark.lab

DUAL = replace(LAB, families=(4, 6), pods=4)


@pytest.fixture(scope="module")
def dual_stack() -> Iterator[str]:
    """The kubeconfig of a lab with two nodes, whose pods have addresses of both families."""
    try:
        lab = start(LabOptions(name="fuzz", nodes=2, ip_families=("ipv4", "ipv6")), ephemeral=True)
    except LabError as e:
        pytest.skip(f"no lab on this machine: {e}")
    yield str(lab.kubeconfig)
    lab.stop()


def test_fuzz_packets_do_what_the_simulator_says(dual_stack: str) -> None:
    enough(asyncio.run(fuzz(dual_stack, Terms(DUAL), worlds=1)))
