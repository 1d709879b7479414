"""The published roles for policy kinds grant what runs use, and nothing else."""

from __future__ import annotations

from pathlib import Path

import yaml

from netprobe.policies.kinds import NETWORK_POLICY, NOT_SIMULATED, SIMULATED
from netprobe.probe.permission import READ_POLICIES, write_policies

FILE = Path(__file__).parents[2] / "manifests" / "rbac" / "policy-kinds.yaml"


def granted(name: str) -> set[tuple[str, str, str]]:
    roles = [one for one in yaml.safe_load_all(FILE.read_text()) if one["kind"] == "ClusterRole"]
    (role,) = (one for one in roles if one["metadata"]["name"] == name)
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_reading() -> None:
    named = {(group, kind.plural, "list") for kind in NOT_SIMULATED for group in kind.groups}
    read = {(p.group, p.resource, p.verb) for p in READ_POLICIES}
    assert granted("netprobe-read-policies") == read | named


def test_writing_in_every_group_that_a_server_may_have() -> None:
    written = [kind for kind in SIMULATED if kind is not NETWORK_POLICY and kind.kind != "HostEndpoint"]
    verbs = {p.verb for p in write_policies(written[:1])}
    assert granted("netprobe-write-policies") == {
        (group, kind.plural, verb) for kind in written for group in kind.groups for verb in verbs
    }
