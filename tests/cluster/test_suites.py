"""Suites on a real cluster: every worked example, both placements, both address families, random clusters."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netprobe.simulate import KUBE_NETWORK_POLICIES
from tests.property.arena import Terms
from tests.property.fuzz import enough, fuzz
from tests.property.strategies import LAB
from tests.run.netprobe import EXAMPLES, TWO_TIER, kubectl, netprobe
from tests.run.test_families_on_lab import check

SUITES = sorted(EXAMPLES.glob("*/suite.yaml"))


def rows(suite: Path, *arguments: object) -> dict[tuple[object, ...], dict[str, Any]]:
    ended = netprobe("run", suite, "-o", "json", *arguments)
    assert ended.out, ended.err
    keys = ("step", "from", "to", "port", "protocol", "via")
    return {tuple(row[key] for key in keys): row for row in ended.report["flows"]}


@pytest.mark.parametrize("suite", SUITES, ids=[suite.parent.name for suite in SUITES])
def test_an_example_ends_as_on_the_lab_and_as_simulated(suite: Path, kubeconfig: str) -> None:
    lab, real = rows(suite), rows(suite, "--kubeconfig", kubeconfig)
    assert real.keys() == lab.keys()
    if {row["observed"] for row in real.values()} == {None}:
        pytest.skip("this cluster does not serve the policies of this example")
    different, compared = {}, 0
    for key, row in real.items():
        outside = "/" not in row["from"] or "/" not in row["to"]
        if outside and row["observed"] in {None, "unknown"}:  # hosts that only a lab can make
            continue
        compared += 1
        seen = row["observed"], lab[key]["observed"], row["simulated"]
        if len(set(seen)) > 1:
            different[key] = (*seen, row["reason"])
    assert not different, "(observed here, observed on the lab, simulated, why)"
    assert compared


def test_both_placements(kubeconfig: str) -> None:
    if len(kubectl(kubeconfig, "get", "nodes", "-o", "name").split()) < 2:
        pytest.skip("this cluster has one node")
    ended = netprobe("run", TWO_TIER, "--placement", "both", "--kubeconfig", kubeconfig, "-o", "json")
    assert ended.status == 0, ended.err or ended.out
    rows = ended.report["flows"]
    assert {row["placement"] for row in rows} == {"same-node", "other-node"}
    for row in rows:
        assert (row["from_node"] == row["to_node"]) == (row["placement"] == "same-node")
        assert row["observed"] == row["simulated"], row
    assert {"allow", "deny"} == {row["observed"] for row in rows if row["placement"] == "other-node"}


def test_both_address_families(kubeconfig: str, tmp_path: Path) -> None:
    pods = json.loads(kubectl(kubeconfig, "get", "pods", "-A", "-o", "json"))["items"]
    ours = [pod for pod in pods if not pod["spec"].get("hostNetwork")]
    if not any(len(pod.get("status", {}).get("podIPs") or ()) == 2 for pod in ours):
        pytest.skip("the pods of this cluster have addresses of one family")
    check(tmp_path, "--kubeconfig", kubeconfig)


def test_the_enforcer_does_what_the_simulator_says_on_a_random_cluster(kubeconfig: str) -> None:
    tag = secrets.token_hex(3)
    shape = replace(LAB, names=(f"x-{tag}", f"y-{tag}", f"z-{tag}"), pods=5)
    terms = Terms(shape, lab=False, profile=KUBE_NETWORK_POLICIES)
    enough(asyncio.run(fuzz(kubeconfig, terms, worlds=1)))
