"""Objects of the whole cluster: what a run makes of them, refuses, and skips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.lab import Lab
from netprobe.manifests import Document
from netprobe.model.policy import Origin
from netprobe.run.applied import Served, narrow
from tests.run.netprobe import netprobe, on

RUN = "netprobe.dev/run"
OURS = {"matchLabels": {RUN: "r"}}
EXISTS = {"matchExpressions": [{"key": "tenant", "operator": "Exists"}]}
SUBJECTS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("ClusterNetworkPolicy", {"subject": {"namespaces": {}}}, {"subject": {"namespaces": OURS}}),
    (
        "AdminNetworkPolicy",
        {"subject": {"pods": {"namespaceSelector": EXISTS}}},
        {"subject": {"pods": {"namespaceSelector": {**EXISTS, **OURS}}}},
    ),
    ("GlobalNetworkPolicy", {"selector": "a"}, {"selector": "a", "namespaceSelector": f"{RUN} == 'r'"}),
    (
        "StagedGlobalNetworkPolicy",
        {"namespaceSelector": "x || y == 'z'"},
        {"namespaceSelector": f"(x || y == 'z') && {RUN} == 'r'"},
    ),
    ("Tier", {"order": 5}, {"order": 5}),
    ("GlobalNetworkSet", {"nets": []}, {"nets": []}),
)


@pytest.mark.parametrize(("kind", "spec", "made"), SUBJECTS, ids=[kind for kind, _, _ in SUBJECTS])
def test_the_subject_is_narrowed_to_the_run(kind: str, spec: dict[str, Any], made: dict[str, Any]) -> None:
    obj = {"kind": kind, "spec": spec}
    narrow(obj, RUN, "r")
    assert obj["spec"] == made


def test_an_object_as_calico_stores_it() -> None:
    """Nothing fills in `types` there, and Felix applies a policy without them in both directions."""
    spec = {"selector": "all()", "egress": [{"action": "Allow"}]}
    obj = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "p"},
        "spec": spec,
    }
    served = Served({"GlobalNetworkPolicy": "crd.projectcalico.org/v1"})
    made = served.adapted(Document(Origin("p.yaml", 1), obj), "r")
    assert made["apiVersion"] == "crd.projectcalico.org/v1"
    assert made["spec"]["types"] == ["Egress"]
    assert "types" not in spec, "the suite's own object stays as it was"


def suite(folder: Path, *policies: dict[str, Any], verdict: str = "deny") -> Path:
    """Two pods in a namespace of their own; web to db has that verdict."""
    name = folder.name.replace("_", "-")[-20:].strip("-")
    pods = [{"name": one, "labels": {"app": one}, "ports": [80]} for one in ("web", "db")]
    document = {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ConnectivitySuite",
        "metadata": {"name": "applied"},
        "topology": {"namespaces": [{"name": name, "pods": pods}]},
        "policies": ["policies.yaml"],
        "expect": {"flows": [{"from": f"{name}/web", "to": f"{name}/db", "verdict": verdict}]},
    }
    (folder / "policies.yaml").write_text(yaml.safe_dump_all(policies))
    (folder / "suite.yaml").write_text(yaml.safe_dump(document))
    return folder / "suite.yaml"


def closed(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "policy.networking.k8s.io/v1beta1",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "tier": "Baseline",
            "priority": 1,
            "subject": {"namespaces": {}},
            "ingress": [{"name": "all", "action": "Deny", "from": [{"namespaces": {}}]}],
        },
    }


@contextmanager
def existing(lab: Lab, obj: dict[str, Any]) -> Iterator[None]:
    """An object of the whole cluster, on a lab that others use too."""
    on(lab, lambda cluster: cluster.create(obj))
    try:
        yield
    finally:
        on(lab, lambda cluster: cluster.delete(obj["kind"], obj["metadata"]["name"]))


@pytest.mark.lab
def test_an_object_that_exists_is_not_replaced(lab: Lab, tmp_path: Path) -> None:
    taken = closed("applied-taken")
    taken["spec"]["subject"]["namespaces"] = {"matchLabels": {"no": "namespace"}}
    with existing(lab, taken):
        ended = netprobe("run", suite(tmp_path, closed("applied-taken")), "--lab", lab.name)
    assert ended.status == 2
    assert "ClusterNetworkPolicy applied-taken already exists" in ended.err


@pytest.mark.lab
def test_a_policy_of_others_is_blamed_for_what_it_denies(lab: Lab, tmp_path: Path) -> None:
    """No baseline can prove a path that was closed before; other flows between its nodes do."""
    path = suite(
        tmp_path, {**closed("unused"), "spec": {**closed("")["spec"], "ingress": []}}, verdict="allow"
    )
    name = yaml.safe_load(path.read_text())["topology"]["namespaces"][0]["name"]
    theirs = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "theirs"},
        "spec": {
            "order": 1,
            "namespaceSelector": f"kubernetes.io/metadata.name == '{name}'",
            "selector": "app == 'db'",
            "types": ["Ingress"],
            "ingress": [{"action": "Deny"}],
        },
    }
    with existing(lab, theirs):
        ended = netprobe("run", path, "--lab", lab.name, "-o", "json")
    assert ended.status == 1, ended.err
    row = ended.flow(f"{name}/web", f"{name}/db", 80)
    assert (row["declared"], row["simulated"], row["observed"]) == ("allow", "deny", "deny")
    assert [cause["policy"] for cause in row["because"]] == ["theirs"]


@pytest.mark.lab
def test_flows_that_a_missing_kind_decides_are_skipped(lab: Lab, tmp_path: Path) -> None:
    crd = "clusternetworkpolicies.policy.networking.k8s.io"
    definition = on(lab, lambda cluster: cluster.get("CustomResourceDefinition", crd))
    on(lab, lambda cluster: cluster.delete("CustomResourceDefinition", crd))
    try:
        ended = netprobe("run", suite(tmp_path, closed("not-served")), "--lab", lab.name, "-o", "json")
    finally:  # the lab is everybody's
        definition["metadata"] = {"name": crd, "annotations": definition["metadata"]["annotations"]}
        on(lab, lambda cluster: cluster.create(definition))
    (row,) = ended.report["flows"]
    assert (row["status"], row["observed"]) == ("skipped", None)
    assert row["reason"] == "skipped: this cluster does not serve ClusterNetworkPolicy"
