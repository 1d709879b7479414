"""The tables of the tests with packets once more, with the compiler's rules applied in this process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.lab.fabric import test_any_policy, test_faults, test_rows
from tests.lab.fabric.packetfilter import PacketFilter

TABLES = [
    test_rows.test_cluster_network_policy,
    test_faults.test_a_policy_that_is_missed,
    test_faults.test_a_rule_that_is_missed,
    test_any_policy.test_packets_do_what_the_simulator_says,
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_rules_do_what_packets_do(table: Any) -> None:
    asyncio.run(table.inside(PacketFilter(table.options)))
