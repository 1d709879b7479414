"""What a namespace asks of its pods, rule by rule.

The words that clients see are held against those of a real server in tests/contract/test_admission.py.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from netprobe.lab.api.admission import limits, quantity, security
from netprobe.lab.placement import hindrance
from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

PODS = "/api/v1/namespaces/default/pods"

QUANTITIES = [
    ("0", Fraction(0), "0"),
    ("2", Fraction(2), "2"),
    ("600m", Fraction(3, 5), "600m"),
    ("1500m", Fraction(3, 2), "1500m"),
    ("1000m", Fraction(1), "1"),
    ("0.5", Fraction(1, 2), "500m"),
    ("2e3", Fraction(2000), "2000"),
    ("1k", Fraction(1000), "1000"),
    ("64Mi", Fraction(64 << 20), "64Mi"),
    ("1024Ki", Fraction(1 << 20), "1Mi"),
    ("100M", Fraction(10**8), "100000000"),
    ("1n", Fraction(1, 10**9), "1m"),
]


@pytest.mark.parametrize(("text", "amount", "shown"), QUANTITIES, ids=[text for text, _, _ in QUANTITIES])
def test_quantities(text: str, amount: Fraction, shown: str) -> None:
    assert quantity.parse(text) == amount
    assert quantity.render(amount) == shown


def test_what_is_no_quantity_counts_as_nothing() -> None:
    assert quantity.amounts({"cpu": "much", "memory": "1"}) == {"memory": 1}


def test_a_pod_asks_for_its_containers_together_or_its_largest_init_container() -> None:
    def container(cpu: str) -> Object:
        return {"resources": {"requests": {"cpu": cpu}}}

    spec = {"containers": [container("1"), container("2")], "overhead": {"cpu": "100m"}}
    assert quantity.of_pod(spec, "requests") == {"cpu": Fraction("3.1")}
    spec["initContainers"] = [container("2"), container("4")]
    assert quantity.of_pod(spec, "requests") == {"cpu": Fraction("4.1")}


def spec(pod: Object | None = None, *containers: Object, **more: Any) -> Object:
    """A pod's spec whose containers are called a, b, ...; each is given by its securityContext."""
    listed = [{"name": name, "securityContext": of} for name, of in zip("abc", containers, strict=False)]
    return {"containers": listed or [{"name": "a"}], "securityContext": pod or {}, **more}


GOOD = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SAFE = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
ADDED = 'container "a" must not include "CHOWN" in securityContext.capabilities.add'
STANDARDS: dict[str, tuple[str, Object, list[str]]] = {
    "nothing is asked of a privileged namespace": ("privileged", spec({}, {"privileged": True}), []),
    "an ordinary pod is baseline": ("baseline", spec(), []),
    "a careful pod is restricted": ("restricted", spec(SAFE, GOOD, GOOD), []),
    "each container may say it for itself": ("restricted", spec({}, GOOD | SAFE, GOOD | SAFE), []),
    "one that may bind low ports": (
        "restricted",
        spec(SAFE, GOOD | {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
        [],
    ),
    "several containers at once": (
        "baseline",
        spec({}, {"privileged": True}, {}, {"privileged": True}),
        ['privileged (containers "a", "c" must not set securityContext.privileged=true)'],
    ),
    "a container against its pod": (
        "restricted",
        spec(SAFE, GOOD | {"runAsNonRoot": False}),
        ['runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false)'],
    ),
    "root by number": (
        "restricted",
        spec(SAFE | {"runAsUser": 0}, GOOD),
        ["runAsUser=0 (pod must not set runAsUser=0)"],
    ),
    "no filter of system calls": (
        "baseline",
        spec({"seccompProfile": {"type": "Unconfined"}}),
        ['seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'],
    ),
    "kernel settings": (
        "baseline",
        spec({"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.ip_unprivileged_port_start"}]}),
        ["forbidden sysctls (kernel.msgmax)"],
    ),
    "a volume that restricted does not know": (
        "restricted",
        spec(SAFE, GOOD, volumes=[{"name": "v", "nfs": {}}, {"name": "w", "emptyDir": {}}]),
        ['restricted volume types (volume "v" uses restricted volume type "nfs")'],
    ),
    "a capability that restricted does not know": (
        "restricted",
        spec(SAFE, GOOD | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}),
        [f"unrestricted capabilities ({ADDED})"],
    ),
}


@pytest.mark.parametrize("case", STANDARDS)
def test_pod_security(case: str) -> None:
    level, pod, wanted = STANDARDS[case]
    assert [str(violation) for violation in security.violations(level, pod)] == wanted


def limited(**item: Any) -> Object:
    made = {"spec": {"limits": [{"type": "Container", **item}]}}
    limits.default_limit_range(made)
    return made


def pod(**resources: Any) -> Object:
    return {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": resources}]}}


def test_the_defaults_of_a_range_follow_from_its_bounds() -> None:
    made = limited(max={"cpu": "2"}, min={"memory": "1Mi"})["spec"]["limits"][0]
    assert made["default"] == {"cpu": "2"}
    assert made["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_a_container_that_says_something_keeps_it() -> None:
    one = pod(requests={"cpu": "1"})
    limits.default_resources(one, [limited(default={"cpu": "3"}, defaultRequest={"cpu": "2"})])
    assert one["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}


OUTSIDE = [
    ({"min": {"cpu": "1"}}, {}, "minimum cpu usage per Container is 1.  No request is specified"),
    ({"max": {"cpu": "1"}}, {}, "maximum cpu usage per Container is 1.  No limit is specified"),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}},
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
    ),
    ({"max": {"cpu": "1"}}, {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}, ""),
]


@pytest.mark.parametrize(("item", "resources", "problem"), OUTSIDE)
def test_the_bounds_of_a_range(item: Object, resources: Object, problem: str) -> None:
    made = {"spec": {"limits": [{"type": "Container", **item}]}}
    assert limits.problems(pod(**resources), [made]) == ([problem] if problem else [])


async def test_a_quota_counts_the_pods_of_its_scope(api: Api) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}
    await api.ok("POST", "/api/v1/namespaces/default/resourcequotas", body)
    asking = {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "1"}}}]}
    for name in ("a", "b"):
        await api.pod("default", name, asking)
    await api.pod("default", "c")
    refusal = await api.fails(
        "POST", PODS, {"metadata": {"name": "d"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    )
    assert refusal["message"].endswith("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1")
    await api.ok("DELETE", f"{PODS}/c", {"gracePeriodSeconds": 0})
    await api.gone(f"{PODS}/c")
    await api.pod("default", "d")


async def test_a_workload_whose_pods_are_refused_says_so_and_goes_on(api: Api) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
    await api.ok("POST", "/api/v1/namespaces/default/resourcequotas", body)
    template = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    wanted = {"replicas": 3, "selector": {"matchLabels": {"app": "w"}}, "template": template}
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    await api.ok("POST", deployments, {"metadata": {"name": "w"}, "spec": wanted})

    def failing(deployment: Object) -> bool:
        status = deployment.get("status", {})
        kinds = {c["type"] for c in status.get("conditions", ()) if c["status"] == "True"}
        return "ReplicaFailure" in kinds and status.get("readyReplicas") == 2

    await api.until(f"{deployments}/w", failing)
    events = (await api.get("/api/v1/namespaces/default/events"))["items"]
    (said,) = [event for event in events if event["reason"] == "FailedCreate"]
    assert said["involvedObject"]["kind"] == "ReplicaSet"
    assert "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2" in said["message"]
    await api.ok("DELETE", "/api/v1/namespaces/default/resourcequotas/q")

    def whole(deployment: Object) -> bool:
        status = deployment.get("status", {})
        return status.get("readyReplicas") == 3 and "ReplicaFailure" not in str(status["conditions"])

    await api.until(f"{deployments}/w", whole)


NODE = {
    "metadata": {"name": "n1", "labels": {"zone": "a", "size": "4"}},
    "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
}
SHY, ELSEWHERE = (
    "node(s) had untolerated taint {gpu: yes}",
    "node(s) didn't match Pod's node affinity/selector",
)
EVERY = {"operator": "Exists"}


def affine(*terms: Object) -> Object:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}, "tolerations": [EVERY]}


def term(key: str, operator: str, *values: str, fields: bool = False) -> Object:
    kind = "matchFields" if fields else "matchExpressions"
    return {kind: [{"key": key, "operator": operator, "values": list(values)}]}


PLACES: dict[str, tuple[Object, str]] = {
    "a taint keeps a pod away": ({}, SHY),
    "a toleration of everything": ({"tolerations": [EVERY]}, ""),
    "of the key": ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, ""),
    "of the value": ({"tolerations": [{"key": "gpu", "value": "yes"}]}, ""),
    "of another value": ({"tolerations": [{"key": "gpu", "value": "no"}]}, SHY),
    "of another effect": (
        {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]},
        SHY,
    ),
    "the selector is asked first": ({"nodeSelector": {"zone": "b"}}, ELSEWHERE),
    "terms are alternatives": (affine(term("zone", "In", "b"), term("zone", "In", "a")), ""),
    "no term fits": (affine(term("zone", "NotIn", "a")), ELSEWHERE),
    "a term that asks nothing": (affine({}), ELSEWHERE),
    "more than": (affine(term("size", "Gt", "3")), ""),
    "less than": (affine(term("size", "Lt", "4")), ELSEWHERE),
    "no number": (affine(term("zone", "Gt", "3")), ELSEWHERE),
    "by name": (affine(term("metadata.name", "In", "n1", fields=True)), ""),
    "by another name": (affine(term("metadata.name", "In", "n2", fields=True)), ELSEWHERE),
}


@pytest.mark.parametrize("case", PLACES)
def test_where_a_pod_may_be(case: str) -> None:
    pod_spec, why = PLACES[case]
    assert hindrance(pod_spec, NODE) == why


async def test_the_service_of_the_api_comes_again(api: Api) -> None:
    path = "/api/v1/namespaces/default/services/kubernetes"
    before = await api.get(path)
    await api.ok("DELETE", path)
    after = await api.until(path, lambda service: service["metadata"]["uid"] != before["metadata"]["uid"])
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
