"""The published accounts on the lab: each is enough for its run, and none of its verbs is one too many.

One lab and one account for all; its roles are exchanged. tests/cluster does the same on a real cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from netprobe.cli import main
from netprobe.errors import LabError
from netprobe.lab import LabOptions, start
from netprobe.model.objects import Object
from netprobe.probe.permission import IN_PLACE, Need, Permission
from netprobe.probe.run_objects import OUTSIDE
from tests.cluster.account import config, published, without
from tests.cluster.permitted import (
    CASES,
    NEEDED,
    NEEDED_AT_NIGHT,
    NIGHTLY,
    TELLING,
    in_place_suite,
    lacks,
    suite,
)
from tests.lab.plain import Plain
from tests.run.netprobe import Ended

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab accounts")]

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/netprobe/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ConfigMap": "/api/v1/namespaces/netprobe/configmaps",
}
MADE_BY_A_RUN = (
    "/api/v1/namespaces",
    "/api/v1/pods",
    "/api/v1/services",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/coordination.k8s.io/v1/leases",
)
Run: TypeAlias = Callable[..., Ended]


@dataclass(frozen=True)
class Robot:
    """The account, and the administrator that grants it its roles."""

    admin: Plain
    kubeconfig: Path

    def grant(self, documents: Sequence[Object]) -> None:
        """Let the account have these roles and no others."""
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            for item in self.admin.call(PATHS[kind])["items"]:
                if (name := item["metadata"]["name"]).startswith("netprobe"):
                    self.admin.call(f"{PATHS[kind]}/{name}", method="DELETE")
        for document in documents:
            if document["kind"] in {"ClusterRole", "ClusterRoleBinding"}:
                self.admin.call(PATHS[document["kind"]], document)

    def made(self) -> set[tuple[str, str]]:
        """All that a run might make and leave, by name and revision; the place of hosts outside stays."""
        listed = (item["metadata"] for path in MADE_BY_A_RUN for item in self.admin.call(path)["items"])
        return {(one["name"], one["resourceVersion"]) for one in listed if one["name"] != OUTSIDE}


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    """The ServiceAccount netprobe/netprobe of a lab of its own, without a role."""
    try:
        lab = start(LabOptions(name="accounts"), ephemeral=True)
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with lab:
        admin = Plain(lab.kubeconfig)
        for document in published(NIGHTLY):
            if document["kind"] in {"Namespace", "ServiceAccount"}:
                admin.call(PATHS[document["kind"]], document)
        asked = {"spec": {"expirationSeconds": 86400}}
        answer = admin.call(f"{PATHS['ServiceAccount']}/netprobe/token", asked)
        path = tmp_path_factory.mktemp("account") / "kubeconfig"
        path.write_text(yaml.safe_dump(config(str(lab.kubeconfig), answer["status"]["token"])))
        yield Robot(admin, path)


@pytest.fixture
def run(robot: Robot, capsys: pytest.CaptureFixture[str]) -> Run:
    """netprobe as the account, in this process: the client library is read once for all tests."""

    def ended(*arguments: Any) -> Ended:
        status = main([*map(str, arguments), "--kubeconfig", str(robot.kubeconfig)])
        said = capsys.readouterr()
        return Ended(status, said.out, said.err)

    return ended


def test_a_run_as_exactly_that_account(robot: Robot, run: Run, tmp_path: Path) -> None:
    robot.grant(published("fixture.yaml"))
    before = robot.made()
    ended = run("run", suite(tmp_path), "-o", "json")
    assert ended.status == 0, ended.err
    assert ended.report["cluster"]["nodes"] == 1
    assert {row["observed"] for row in ended.report["flows"]} == {"allow", "deny"}
    assert robot.made() == before


def test_without_what_only_tells_a_run_goes_on(robot: Robot, run: Run, tmp_path: Path) -> None:
    roles = published("fixture.yaml")
    for permission in TELLING:
        roles = without(roles, permission.group, permission.resource, permission.verb)
    robot.grant(roles)
    ended = run("run", suite(tmp_path), "-o", "json")
    assert ended.status == 0, ended.err
    assert ended.report["cluster"]["nodes"] is None


@pytest.mark.parametrize("permission", NEEDED, ids=str)
def test_without_one_verb_a_run_names_it_and_makes_nothing(
    robot: Robot, run: Run, tmp_path: Path, permission: Permission
) -> None:
    robot.grant(without(published("fixture.yaml"), permission.group, permission.resource, permission.verb))
    before = robot.made()
    ended = run("run", suite(tmp_path))
    assert ended.status == 3, ended.out
    assert lacks(permission) in ended.err
    assert robot.made() == before


def test_the_suite_of_conformance_as_exactly_the_nightly_account(robot: Robot, run: Run) -> None:
    robot.grant(published(NIGHTLY))
    before = robot.made()
    only = [word for name in CASES for word in ("--only", name)]
    ended = run("conformance", *only, "-o", "json")
    assert {case["reason"] for case in ended.report["cases"]} == {None}, ended.err
    assert len(ended.report["cases"]) == len(CASES)
    assert robot.made() == before


@pytest.mark.parametrize("permission", NEEDED_AT_NIGHT, ids=str)
def test_without_one_verb_the_nightly_run_names_it_and_makes_nothing(
    robot: Robot, run: Run, permission: Permission
) -> None:
    robot.grant(without(published(NIGHTLY), permission.group, permission.resource, permission.verb))
    before = robot.made()
    ended = run("conformance", "--only", CASES[0])
    assert ended.status == 3, ended.out
    assert lacks(permission) in ended.err
    assert robot.made() == before


def is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.fixture(scope="module")
def workloads(robot: Robot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite about two pods that somebody else runs."""
    robot.admin.call(PATHS["Namespace"], {"metadata": {"name": "work"}})
    port = {"containerPort": 5432}
    container = {"name": "c", "image": "x", "ports": [port], "readinessProbe": {"tcpSocket": {"port": 5432}}}
    for app in ("web", "db"):
        pod = {"metadata": {"name": app, "labels": {"app": app}}, "spec": {"containers": [container]}}
        robot.admin.call("/api/v1/namespaces/work/pods", pod)
    path = tmp_path_factory.mktemp("in-place") / "suite.yaml"
    path.write_text(in_place_suite("work"))
    watch = "/api/v1/namespaces/work/pods?watch=1&fieldSelector=metadata.name="
    for app in ("web", "db"):
        robot.admin.until(f"{watch}{app}", is_ready)
    return path


IN_PLACE_ROLES = ("fixture.yaml", "in-place.yaml")
NEEDED_IN_PLACE = [p for p in IN_PLACE if p.need is Need.ALWAYS]


def test_a_run_in_place_as_exactly_that_account(robot: Robot, run: Run, workloads: Path) -> None:
    robot.grant(published(*IN_PLACE_ROLES))
    before = robot.made()
    ended = run("run", workloads, "--in-place", "-o", "json")
    assert ended.status == 0, ended.err
    assert [row["observed"] for row in ended.report["flows"]] == ["allow"]
    assert robot.made() == before


@pytest.mark.parametrize("permission", NEEDED_IN_PLACE, ids=str)
def test_without_one_verb_a_run_in_place_names_it_and_makes_nothing(
    robot: Robot, run: Run, workloads: Path, permission: Permission
) -> None:
    """What it reads before it asks for its permissions is refused with the server's own words."""
    group, resource, verb = permission.group, permission.resource, permission.verb
    robot.grant(without(published(*IN_PLACE_ROLES), group, resource, verb, everywhere=True))
    before = robot.made()
    ended = run("run", workloads, "--in-place")
    assert ended.status == 3, ended.out
    said = f'cannot {verb} resource "{resource}" in API group "{group}"'
    assert lacks(permission) in ended.err or said in ended.err
    assert robot.made() == before


def test_nothing_of_others(robot: Robot) -> None:
    """What the account may not: read what is none of its business."""
    robot.grant(published("fixture.yaml"))
    account = Plain(robot.kubeconfig)
    review = {"spec": {"resourceAttributes": {"verb": "list", "resource": "secrets"}}}
    answer = account.call("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert json.dumps(answer["status"]) == '{"allowed": false}'
