"""Random clusters on a real cluster: its own enforcer and the simulator agree in every cell."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from netprobe.simulate import KUBE_NETWORK_POLICIES
from tests.property.arena import Terms
from tests.property.fuzz import enough, fuzz
from tests.property.strategies import LAB


def test_fuzz_a_real_enforcer_does_what_the_simulator_says(kubeconfig: str) -> None:
    tag = secrets.token_hex(3)
    shape = replace(LAB, names=(f"x-{tag}", f"y-{tag}", f"z-{tag}"), pods=5)
    terms = Terms(shape, lab=False, profile=KUBE_NETWORK_POLICIES)
    enough(asyncio.run(fuzz(kubeconfig, terms, worlds=1)))
