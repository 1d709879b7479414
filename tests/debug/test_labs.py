"""Causes that need a lab of another kind: both families, rules that reject, no enforcement, a silent DNS."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netprobe.debug import Answer
from netprobe.errors import LabError
from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from netprobe.lab import LabOptions, start
from netprobe.run.target import ClusterChoice
from tests.debug import faults

pytestmark = pytest.mark.lab

DEAD = {"netprobe.dev/fault-listener": "dead"}


def ask(names: tuple[str, ...], *, silent_dns: bool = False, **options: Any) -> list[Answer]:
    """The answers for files of manifests/faults/ on a lab of its own."""
    try:
        lab = start(LabOptions(nodes=2, **options), ephemeral=True)
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    target = ClusterChoice(str(lab.kubeconfig))

    async def every() -> list[Answer]:
        async with connect(str(lab.kubeconfig)) as cluster:
            if silent_dns:
                await silence_dns(cluster)
            tags = (f"x{number}" for number in range(len(names)))
            pairs = zip(names, tags, strict=True)
            return await asyncio.gather(*(faults.answer(cluster, target, *pair) for pair in pairs))

    with lab:
        return asyncio.run(every())


async def silence_dns(cluster: KubeCluster) -> None:
    """The pods of the DNS run, and nothing listens in them."""
    for deployment in await cluster.find("Deployment", "kube-system"):
        template = {"metadata": {"annotations": DEAD}}
        name = deployment["metadata"]["name"]
        await cluster.patch("Deployment", name, "kube-system", {"spec": {"template": template}})
    async with asyncio.timeout(faults.READY_S):
        while True:
            pods = await cluster.find("Pod", "kube-system", {"k8s-app": "kube-dns"})
            if pods and all(
                DEAD.items() <= (pod["metadata"].get("annotations") or {}).items() for pod in pods
            ):
                return
            await asyncio.sleep(0.2)


def test_one_address_family_only_and_no_enforcement_anywhere() -> None:
    family, policy = ask(("one-family", "ingress-policy"), ip_families=("ipv4", "ipv6"), enforce=False)
    assert [name for name, _ in family.causes] == ["one-family"]
    assert "answers on port 6379 over IPv4 only" in family.causes[0][1].text
    assert " accepts 6379 over IPv4; " in family["listener"].text
    assert family["listener"].text.endswith(" refuses 6379 over IPv6")
    assert family.exit_status == 1
    assert [name for name, _ in policy.causes] == ["not-enforced"]
    assert "nothing enforces policies" in policy.causes[0][1].text
    assert policy.connects


def test_rules_that_reject_and_a_dns_server_that_answers_nobody() -> None:
    """A refusal by a policy and by a missing listener are told apart."""
    policy, listener = ask(("ingress-policy", "no-listener"), silent_dns=True, deny_with="reject")
    assert "refused" in policy["packets"].text
    assert [name for name, _ in policy.causes] == ["ingress-policy", "dns-silent"]
    assert [name for name, _ in listener.causes] == ["no-listener"]
