"""Each root cause is found on a lab that has the fault, and named first; nothing is left behind.

Faults that TOGETHER has are created there; of variants of one cause, those that manifests show are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from netprobe.debug import causes, debug_files
from netprobe.lab import Lab
from netprobe.run.target import ClusterChoice
from tests.debug.faults import FOLDER, Given, ask_all, check, check_sentence, fault, request
from tests.manifest_text import policy

pytestmark = pytest.mark.lab

CAUSES = {
    # file -> the first cause, and what its sentence and fix have to contain
    "egress-policy": ("egress-policy", "NetworkPolicy T-shop/web isolates T-shop/web", "TCP"),
    "ingress-policy": ("ingress-policy", "NetworkPolicy T-shop/db isolates T-shop/db-0 and T-shop/db-1", ""),
    "both-policies": ("both-policies", "both ends deny ", ""),
    "almost-allowed-label": ("almost-allowed", "has no label tier", "tier=frontend"),
    "almost-allowed-namespace": ("almost-allowed", "without a namespaceSelector", "T-front"),
    "almost-allowed-port": ("almost-allowed", "(port)", "5432"),
    "almost-allowed-protocol": ("almost-allowed", "(protocol)", "5432"),
    "almost-allowed-service-port": ("almost-allowed", "is the port of svc:T-shop/store", "5432"),
    "almost-allowed-policy-types": ("almost-allowed", "policyTypes does not include Egress", ""),
    "other-policy": ("other-policy", "GlobalNetworkPolicy security.lockdown (tier security) denies", ""),
    "other-policy-cluster": ("other-policy", "ClusterNetworkPolicy lockdown (tier Admin) denies", ""),
    "dns-blocked": ("dns-blocked", "does not allow DNS for T-shop/web", "kube-dns"),
    "name-unknown": ("name-unknown", "in another namespace", "use the name db."),
    "selector-without-pods": ("selector-without-pods", "app=database", "app=db"),
    "endpoints-not-ready": ("endpoints-not-ready", "6380", "describe pod"),
    "target-port-name": ("target-port", "no port of that name; they have postgres", ""),
    "target-port-number": ("target-port", "targetPort 5433", "port 5432"),
    "target-port-differs": ("target-port", "6380 in T-shop/cache-1", ""),
    "no-listener": ("no-listener", "port 6379 of T-shop/cache", ""),
    "no-listener-loopback": ("no-listener", "loopback address only (127.0.0.1)", "on all addresses"),
    "some-backends": ("some-backends", "1 of 2 backends refuse", "T-shop/cache-1"),
    "not-enforced": ("not-enforced", "packets pass anyway", "agent"),
    "host-network": ("host-network", "T-shop/agent is on its node's network", "ipBlock"),
    "outside-silent": ("outside-silent", "203.0.113.99 does not answer", "outside"),
    "source-not-running": ("source-not-running", "T-shop/batch does not run", "describe pod"),
}
ON_NODES = {
    # these change a node, so they come one after the other
    "packets-dropped-stale": ("packets-dropped", "on n2, whose rules are stale", "agent on n2"),
    "packets-dropped-path": ("packets-dropped", "the path from n1 to n2 is broken", "between n1 and n2"),
    "packets-dropped-lag": ("packets-dropped", "enforcement lagged", "nothing to do"),
}
TOGETHER = {
    # two faults at once: the causes, the earlier on the path first
    "dns-blocked ingress-policy": ("dns-blocked", "ingress-policy"),
    "source-not-running ingress-policy": ("source-not-running", "ingress-policy"),
    "endpoints-not-ready both-policies": ("endpoints-not-ready", "both-policies", "dns-blocked"),
    "no-listener egress-policy": ("egress-policy", "no-listener"),
    "outside-silent egress-policy": ("egress-policy", "outside-silent"),
}
READ = (
    "almost-allowed-label",
    "almost-allowed-namespace",
    "almost-allowed-port",
    "almost-allowed-protocol",
    "almost-allowed-service-port",
    "almost-allowed-policy-types",
    "target-port-name",
    "name-unknown",
    "host-network",
    "other-policy",
    "other-policy-cluster",
)
ALONE = [name for name in CAUSES if name not in READ and all(name not in names.split() for names in TOGETHER)]


@pytest.fixture(scope="module")
def given(lab: Lab) -> Mapping[str, Given]:
    """The answers on the lab."""
    target = ClusterChoice(lab=lab.name)
    return asyncio.run(ask_all(str(lab.kubeconfig), target, (*ALONE, *TOGETHER), ON_NODES))


@pytest.mark.parametrize("name", [*ALONE, *ON_NODES])
def test_the_first_cause_is_the_right_one(given: Mapping[str, Given], name: str) -> None:
    check(given[name], (CAUSES | ON_NODES)[name])


@pytest.mark.parametrize("names", TOGETHER)
def test_of_two_faults_the_earlier_is_named_first(given: Mapping[str, Given], names: str) -> None:
    assert tuple(name for name, _ in given[names].answer.causes) == TOGETHER[names]
    for name in names.split():
        check_sentence(given[names], CAUSES[name])


@pytest.mark.parametrize("name", READ)
def test_a_cause_that_manifests_show(name: str) -> None:
    files = [str(FOLDER / f"{file}.yaml") for file in ("shop", name)]
    answer = debug_files(request(ClusterChoice(), fault(name, "").question), files)
    check(Given(answer, 0, "", ()), CAUSES[name])


DNS_ONLY = policy(
    "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], "
    "egress: [{ports: [{port: 53, protocol: UDP}, {port: 53}]}]}"
)


@pytest.mark.parametrize(
    ("port", "cause"),
    [
        pytest.param("53", "egress-policy", id="nobody wrote it for the database"),
        pytest.param("5433", "almost-allowed", id="a port that is off by one"),
    ],
)
def test_the_rule_that_allows_dns_almost_allows_nothing_else(tmp_path: Path, port: str, cause: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(DNS_ONLY.replace("53", port))
    question = fault("egress-policy", "").question
    answer = debug_files(request(ClusterChoice(), question), [str(FOLDER / "shop.yaml"), str(path)])
    assert next(name for name, _ in answer.causes) == cause


def test_every_cause_is_shown() -> None:
    shown = {cause for cause, _, _ in (CAUSES | ON_NODES).values()}
    elsewhere = {"one-family", "dns-silent"}
    assert set(causes.CAUSES) - shown == elsewhere
