"""Situations that people reported or asked about, each with the right answer of the commands."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netprobe.cli import main
from tests.manifest_text import documents, namespace, pod, policy, service, workload


@dataclass(frozen=True)
class Situation:
    """A text of manifests, or files by name, and what the commands answer about the folder.

    `flows`: "FROM > TO:PORT" and the verdict of `explain`. `lint`: words of a finding, by rule; `quiet`:
    rules that report nothing. `says`: other command lines, with words that their output has, or after "not "
    lacks.
    """

    manifests: str | dict[str, bytes]
    flows: dict[str, str] = field(default_factory=dict)
    lint: dict[str, str] = field(default_factory=dict)
    quiet: tuple[str, ...] = ()
    says: dict[str, tuple[str, ...]] = field(default_factory=dict)


CLOSED = "policyTypes: [Ingress]"
DNS = "{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}"
TO_DNS = f"[{{to: [{DNS}], ports: [{{port: 53, protocol: UDP}}]}}]"
METRICS = "[{name: metrics, containerPort: 8099}]"
PORT_80, HTTP = "[{containerPort: 80}]", "[{containerPort: 80, name: http}]"
SERVED = documents(
    pod("db", ports="[{containerPort: 8080}]", app="db"),
    service("selector: {app: db}, ports: [{port: 80, targetPort: 8080}]", name="db"),
    policy(
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}], "
        "ports: [{port: 80}]}]}",
        name="NAME",
    ),
)


SITUATIONS = {
    "the primary of a StatefulSet by the name of its pod": Situation(
        documents(
            workload("StatefulSet", "db", "{app: db}", more="replicas: 2, "),
            pod("w", app="writer"),
            policy(
                "{podSelector: {matchLabels: {statefulset.kubernetes.io/pod-name: db-0}}, ingress: "
                "[{from: [{podSelector: {matchLabels: {app: writer}}}]}]}",
                name="primary",
            ),
            policy(
                "{podSelector: {matchExpressions: [{key: apps.kubernetes.io/pod-index, operator: In, values: "
                f'["1"]}}]}}, {CLOSED}}}',
                name="replicas",
            ),
        ),
        {"shop/w > shop/db-0:5432": "ALLOW", "shop/w > shop/db-1:5432": "DENY"},
        quiet=("unmatched-pods",),
    ),
    "a Job by its name, and a CronJob that only has the label itself": Situation(
        documents(
            workload("Job", "migrate", "{}"),
            workload("CronJob", "sweep", "{}", labels="{app: sweep}"),
            pod("db", app="db"),
            policy(
                "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: "
                "{job-name: migrate}}}]}, {from: [{podSelector: {matchLabels: {app: sweep}}}]}]}"
            ),
        ),
        {"shop/migrate > shop/db:5432": "ALLOW", "shop/sweep > shop/db:5432": "DENY"},
        {"template-labels": "CronJob/sweep itself has the labels app=sweep, its pods do not"},
        ("unmatched-pods",),
    ),
    "between two runs of a CronJob": Situation(
        documents(
            pod("backup-1", ports=HTTP, addresses="{ip: 10.0.0.9}", phase="Succeeded", app="backup"),
            pod("db", ports=HTTP, addresses="{ip: 10.0.0.9}", app="db"),
            policy(f"{{podSelector: {{matchLabels: {{app: backup}}}}, {CLOSED}}}"),
        ),
        {"shop/db > shop/backup-1:80": "UNKNOWN", "shop/db > 10.0.0.9:80": "ALLOW"},
        quiet=("unmatched-pods",),
    ),
    "a hash that only a controller knows": Situation(
        documents(
            workload("Deployment", "web", "{app: web}"),
            pod("c", app="c"),
            policy(f"{{podSelector: {{matchLabels: {{app: web, pod-template-hash: abc}}}}, {CLOSED}}}"),
        ),
        {"shop/c > shop/web:80": "UNKNOWN"},
        {"volatile-label": "pod-template-hash"},
        ("unmatched-pods",),
    ),
    "labels that are on two pods": Situation(
        documents(
            pod("a", app="manager", component="x"),
            pod("b", app="other", component="manager"),
            policy(f"{{podSelector: {{matchLabels: {{app: manager, component: manager}}}}, {CLOSED}}}"),
        ),
        {"shop/a > shop/b:80": "ALLOW"},
        {"unmatched-pods": "app is manager and other there"},
        says={"explain shop/b shop/a --port 80 -f .": ("does not select shop/a", "component=manager")},
    ),
    "a policy without a namespace, and its pods in another": Situation(
        documents(
            pod("db", app="db"),
            pod("x", namespace="default", app="x"),
            policy(f"{{podSelector: {{matchLabels: {{app: db}}}}, {CLOSED}}}").replace(
                ", namespace: shop", ""
            ),
        ),
        {"default/x > shop/db:80": "ALLOW"},
        {"unmatched-pods": "such pods are in shop"},
    ),
    "the nodePort in a policy, and clients behind nodes": Situation(
        documents(
            pod("web", ports="[{containerPort: 8080}]", app="web"),
            service(
                "type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: "
                "30080}]",
                name="web",
            ),
            policy(
                "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: "
                "30080}]}]}"
            ),
        ),
        {"203.0.113.7 > shop/web:8080": "DENY"},
        {
            "service-port": "30080 is the nodePort of Service shop/web",
            "client-address": "externalTrafficPolicy",
        },
    ),
    "the hostPort in a policy": Situation(
        documents(
            pod("sql", ports="[{containerPort: 3306, hostPort: 33306}]", app="sql"),
            policy("{podSelector: {}, ingress: [{ports: [{port: 33306}]}]}"),
        ),
        lint={"service-port": "33306 is the hostPort of pod sql; policies see the pod's port, 3306"},
    ),
    "a named targetPort that differs": Situation(
        documents(
            pod("new", ports="[{containerPort: 80, name: http}]", app="api"),
            pod("old", ports="[{containerPort: 8080, name: http}]", app="api"),
            service("selector: {app: api}, ports: [{port: 80, targetPort: http}]", name="api"),
            policy("{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 80}]}]}"),
        ),
        {"203.0.113.7 > shop/new:80": "ALLOW", "203.0.113.7 > shop/old:8080": "DENY"},
        {"mixed-target-port": "80 on shop/new and 8080 on shop/old"},
    ),
    "node-local DNS": Situation(
        documents(
            pod(
                "node-local-dns",
                namespace="kube-system",
                spec="hostNetwork: true",
                **{"k8s-app": "node-local-dns"},
            ),
            pod("web", ports=HTTP, addresses="{ip: 10.0.0.7}", app="web"),
            policy(f"{{podSelector: {{}}, policyTypes: [Egress], egress: {TO_DNS}}}"),
        ),
        {"shop/web > 169.254.20.10:53": "DENY"},
        {"node-local-dns": "add {ipBlock: {cidr: 169.254.20.10/32}}"},
    ),
    "the API server by a namespaceSelector": Situation(
        documents(
            service(
                "clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]",
                name="kubernetes",
                namespace="default",
            ),
            "{apiVersion: v1, kind: Endpoints, metadata: {name: kubernetes, namespace: default}, "
            "subsets: [{addresses: "
            "[{ip: 192.0.2.4}], ports: [{name: https, port: 6443}]}]}\n",
            pod("ctl", ports=HTTP, addresses="{ip: 10.0.0.7}", app="ctl"),
            policy(
                "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], "
                "ports: [{port: 443}]}]}"
            ),
        ),
        {"shop/ctl > svc:default/kubernetes:443": "DENY", "shop/ctl > 192.0.2.4:6443": "DENY"},
        {"api-server-by-selector": "192.0.2.4/32"},
    ),
    "one family of two": Situation(
        documents(
            pod("web", ports=HTTP, addresses='{ip: 10.0.0.7}, {ip: "fd00::7"}', app="web"),
            policy(
                "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], "
                "ports: [{port: 443}]}]}"
            ),
        ),
        {"shop/web > 198.51.100.1:443": "ALLOW", "shop/web > 2001:db8::1:443": "DENY"},
        {"one-family": "contains no IPv6 address"},
    ),
    "Kustomize's labels in a peer": Situation(
        documents(
            namespace("ingress"),
            pod("ctl", namespace="ingress", app="nginx"),
            pod("web", app="web", team="red"),
            policy(
                "{podSelector: {matchLabels: {team: red}}, ingress: [{from: [{namespaceSelector: "
                "{matchLabels: {kubernetes.io/metadata.name: ingress}}, podSelector: {matchLabels: "
                "{app: nginx, team: red}}}]}]}"
            ),
        ),
        {"ingress/ctl > shop/web:80": "DENY"},
        {"kustomize-labels": "team=red"},
    ),
    "host bits": Situation(
        policy(
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.1.1/24}}, {ipBlock: {cidr: "
            "10.0.0.0/0}}]}]}"
        ),
        lint={"host-bits": "192.168.1.1/24 means 192.168.1.0/24"},
    ),
    "the pod itself": Situation(
        documents(
            pod("ctl", ports=HTTP, addresses="{ip: 10.0.0.7}", app="ctl"),
            policy("{podSelector: {}, policyTypes: [Ingress, Egress]}"),
        ),
        {f"shop/ctl > {end}:80": "ALLOW" for end in ("127.0.0.1", "10.0.0.7", "shop/ctl", "::1")},
    ),
    "a headless Service does not translate": Situation(
        documents(
            pod("db", ports=HTTP, addresses="{ip: 10.0.0.8}", app="db"),
            pod("cli", ports=HTTP, addresses="{ip: 10.0.0.9}", app="cli"),
            service(
                "clusterIP: None, selector: {app: db}, ports: [{port: 15432, targetPort: 5432}]", name="db"
            ),
            policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]}"),
        ),
        {"shop/cli > svc:shop/db:15432": "DENY", "shop/cli > svc:shop/db:5432": "ALLOW"},
    ),
    "policies of kinds that are not simulated": Situation(
        documents(
            pod("a", app="a"),
            pod("b", app="b", ports=PORT_80),
            "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: l7, namespace: shop}}\n",
            "{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: default.b, namespace: "
            "shop}, spec: {selector: app == 'b', types: [Ingress], ingress: [{action: Deny}]}}\n",
            "{apiVersion: extensions/v1beta1, kind: NetworkPolicy, metadata: {name: old, namespace: shop}, "
            "spec: {podSelector: {}}}\n",
        ),
        {"shop/a > shop/b:80": "DENY"},
        {"not-simulated": "CiliumNetworkPolicy is not evaluated", "invalid": "removed in Kubernetes 1.16"},
        says={
            "explain shop/a shop/b -f .": ("CiliumNetworkPolicy shop/l7 and", "may decide it too"),
            "simulate -f .": (
                "also be decided by CiliumNetworkPolicy shop/l7",
                "extensions/v1beta1",
                "DENY not certain",
            ),
            "simulate -f . --grouped": ("DENY 1 not certain",),
        },
    ),
    "a port name of a native sidecar, and of a container that is over": Situation(
        documents(
            pod(
                "one",
                app="db",
                spec=f"initContainers: [{{name: i, restartPolicy: Always, ports: {METRICS}}}]",
            ),
            pod("two", app="db", spec=f"initContainers: [{{name: i, ports: {METRICS}}}]"),
            pod("prom", app="prom"),
            policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: metrics}]}]}"),
        ),
        {"shop/prom > shop/one:8099": "ALLOW", "shop/prom > shop/two:8099": "DENY"},
        quiet=("unknown-port-name",),
    ),
    "an address that a finished pod left to another": Situation(
        documents(
            pod("nightly", ports=HTTP, addresses="{ip: 10.50.0.9}", phase="Succeeded", trusted="yes"),
            pod("stranger", ports=HTTP, addresses="{ip: 10.50.0.9}", app="stranger"),
            pod("db", ports=HTTP, addresses="{ip: 10.50.0.12}", app="db"),
            policy(
                "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: "
                "{trusted: 'yes'}}}]}]}"
            ),
        ),
        {"shop/stranger > shop/db:80": "DENY", "shop/db > 10.50.0.9:80": "ALLOW"},
        says={"simulate -f .": ("shop/stranger", "not nightly")},
    ),
    "an ingress controller on the network of its node": Situation(
        documents(
            pod("ctl", namespace="ingress", spec="hostNetwork: true, nodeName: n1", app="nginx"),
            pod("web", app="web", ports=PORT_80),
            policy(
                "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}, "
                "podSelector: {matchLabels: {app: nginx}}}]}]}"
            ),
        ),
        {"ingress/ctl > shop/web:80": "DENY"},
        {"host-network": "use an ipBlock with the addresses of the nodes"},
        says={"explain ingress/ctl shop/web -f .": ("undefined by the NetworkPolicy API", "hostNetwork")},
    ),
    "not that namespace, or all of them": Situation(
        documents(
            pod("pay", app="pay", ports=PORT_80),
            pod("noisy", namespace="testing", app="noisy"),
            policy(
                "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: "
                "kubernetes.io/metadata.name, operator: NotIn, values: [testing]}]}}, "
                "{namespaceSelector: {}}]}]}"
            ),
        ),
        {"testing/noisy > shop/pay:80": "ALLOW"},
        {"redundant-item": "from[1] covers it"},
    ),
    "new policies for the pods of a StatefulSet": Situation(
        {
            "before.yaml": documents(
                workload("StatefulSet", "db", "{app: db}", more="replicas: 2, "), pod("w", app="w")
            ).encode(),
            "change.yaml": policy(
                "{podSelector: {matchLabels: {statefulset.kubernetes.io/pod-name: db-1}}}"
            ).encode(),
        },
        says={"impact change.yaml --against before.yaml": ("Closes", "shop/db (1 of 2)", "not 0 close")},
    ),
    "a policy for a CronJob's pods, between two runs": Situation(
        documents(
            pod("backup-1", ports=HTTP, addresses="{ip: 10.0.0.9}", phase="Succeeded", app="backup"),
            pod("db", ports=HTTP, addresses="{ip: 10.0.0.8}", app="db"),
            policy("{podSelector: {}}", name="deny"),
            policy("{podSelector: {matchLabels: {app: backup}}, ingress: [{}]}", name="backup"),
        ),
        quiet=("unmatched-pods",),
        says={"impact . --against .": ("not could be removed",)},
    ),
    "a repository with files of other programs": Situation(
        {
            "package.json": b'{"name": "x", "version": "1"}',
            "score.yaml": b"apiVersion: score.dev/v1b1\nmetadata: {name: x}\n",
            "list.yaml": b"- a\n",
            "tabs.yml": b"a: 1\n\tb: 2\n",
            "tagged.yaml": b"Resources: {Bucket: !Ref Name}\n",
            "flux.yaml": b"apiVersion: v1\nkind: Namespace\nmetadata: {name: ${HOME_NAME}}\n",
            "vars.yaml": b"apiVersion: v1\nkind: Namespace\nmetadata: {name: $(my-var)}\n",
            "component.yaml": b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: _\n",
            "test.yaml": b"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: (join('-', [$a, $b]))\n",
            "chart/Chart.yaml": b"name: c\n",
            "chart/templates/np.yaml": b"kind: NetworkPolicy\nmetadata: {{ .Values }}\n",
            "good.yaml": documents(
                pod("a", app="a"), pod("b", app="b", ports=PORT_80), policy("{podSelector: {}}")
            ).encode(),
        },
        {"shop/a > shop/b:80": "DENY"},
        says=dict.fromkeys(
            ("lint .", "simulate -f .", "graph . -o mermaid", "impact . --against good.yaml"),
            ("${HOME_NAME} is not substituted", "my-var", "placeholder _ is", "(join", "a Helm chart"),
        ),
    ),
    "endpoints that people wrote": Situation(
        documents(
            service("ports: [{name: https, port: 443, targetPort: 6443}]", name="ext"),
            "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ext-1, namespace: shop, "
            "labels: {kubernetes.io/service-name: ext}}, addressType: IPv4, endpoints: [{addresses: "
            "[203.0.113.50]}], ports: [{name: https, port: 6443}]}\n",
            pod("ctl", app="ctl"),
            policy(
                "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "
                "203.0.113.50/32}}], ports: [{port: 6443}]}]}"
            ),
        ),
        {"shop/ctl > svc:shop/ext:443": "ALLOW"},
    ),
    "one Namespace in two files": Situation(
        {"a.yaml": namespace("shop").encode(), "b.yaml": documents(namespace("shop"), pod("a")).encode()},
        quiet=("duplicate-name",),
        says={"simulate -f . --port 80": ("not already at",)},
    ),
}


def rules(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The findings of lint, as "RULE SEVERITY: MESSAGE; SUGGESTION"."""
    main(["lint", ".", "-o", "json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    return [f"{each['rule']} {each['severity']}: {each['message']}; {each['suggestion']}" for each in found]


def verdict(asked: str, capsys: pytest.CaptureFixture[str]) -> str:
    source, _, rest = asked.partition(" > ")
    destination, _, port = rest.rpartition(":")
    number = f"{port}/udp" if port == "53" else port
    main(["explain", source, destination, "--port", number, "-f", ".", "-o", "json"])
    return str(json.loads(capsys.readouterr().out)["verdict"]).upper()


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_a_situation_from_the_field(
    situation: Situation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    files = situation.manifests
    for name, content in ({"all.yaml": files.encode()} if isinstance(files, str) else files).items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(content)
    assert {asked: verdict(asked, capsys) for asked in situation.flows} == situation.flows
    found = rules(capsys) if situation.lint or situation.quiet else []
    for rule, words in situation.lint.items():
        assert any(line.startswith(f"{rule} ") and words in line for line in found), (rule, found)
    assert not [line for line in found if line.split()[0] in situation.quiet]
    for command, expected in situation.says.items():
        main(shlex.split(command))
        captured = capsys.readouterr()
        said = " ".join(f"{captured.out}{captured.err}".split())
        for words in expected:
            lacks = words.startswith("not ")
            assert (words.removeprefix("not ") in said) is not lacks, (command, words, said)


def test_fix_keeps_the_encoding_and_leaves_an_alias_of_two_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shared = "&ports [{port: 80}]}, {to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: *ports"
    files = {
        "bom.yaml": b"\xef\xbb\xbf" + SERVED.replace("NAME", "one").replace("\n", "\r\n").encode(),
        "wide.yaml": SERVED.replace("NAME", "two").encode("utf-16"),
        "alias.yaml": SERVED.replace("NAME", "three").replace("[{port: 80}]}]", f"{shared}}}]").encode(),
    }
    for name, content in files.items():
        Path(name).write_bytes(content)
    main(["lint", "--fix", "."])
    assert "service-port not fixed: the edit would change something else as well" in capsys.readouterr().err
    for name, encoding in (("bom.yaml", "utf-8"), ("wide.yaml", "utf-16")):
        old, new = files[name].decode(encoding), Path(name).read_bytes().decode(encoding)
        assert new == old.replace("[{port: 80}]}]", "[{port: 8080}]}]")
    assert Path("alias.yaml").read_bytes() == files["alias.yaml"]
