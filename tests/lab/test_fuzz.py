"""Random clusters on the lab: the kernel's packets and the simulator agree in every cell.

Policy is worked out twice, as packet filter rules and as set arithmetic, by code that shares only the model
and the reading of manifests. A world in every test run; `make test-lab-fuzz` plays for minutes.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.lab.playground import Playground
from tests.property.arena import Terms
from tests.property.fuzz import enough, fuzz
from tests.property.strategies import LAB

pytestmark = pytest.mark.lab

DUAL = replace(LAB, families=(4, 6), pods=4)


def test_fuzz_packets_do_what_the_simulator_says(dual_stack: Playground) -> None:
    enough(asyncio.run(fuzz(str(dual_stack.lab.kubeconfig), Terms(DUAL), worlds=1)))
