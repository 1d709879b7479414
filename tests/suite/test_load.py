"""Reading a suite: what is wrong with it, all at once, and what comes out."""

from __future__ import annotations

import io
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest

from netprobe.errors import InputError
from netprobe.model.flow import ContainerPort, External, PodRef, Protocol
from netprobe.model.policy import PolicyRef
from netprobe.suite import load
from tests.suite.conftest import HEAD, POLICY, LoadSuite, Problems

# ruff: noqa: E501  # messages are compared whole

MINIMAL = "expect: {default: deny}\n"

FORM = {
    "expect is needed": ("", ["suite.yaml:1:1: expect: Required value"]),
    "an expectation of nothing": (
        "expect: {}\n",
        ["suite.yaml:17:1: expect: Invalid value: {}: expects nothing: give flows, or a default"],
    ),
    "an unknown field": (
        "expect: {default: deny}\npolicys: []\n",
        ['suite.yaml:18:1: policys: unknown field "policys"; did you mean policies?'],
    ),
    "one deep inside": (
        "expect:\n  flows:\n    - {from: a/web, to: a/db, prot: 80, verdict: deny}\n",
        ['suite.yaml:19:31: expect.flows[0].prot: unknown field "prot"; did you mean port?'],
    ),
    "a verdict": (
        "expect: {default: no}\n",
        ["suite.yaml:17:10: expect.default: Invalid value: false: must be allow or deny"],
    ),
    "ends and ports": (
        (
            "expect:\n  flows:\n    - {from: a/b/c, to: 'A/x', port: 0, verdict: deny}\n"
            "    - {from: 7, to: a/app=, port: http/tpc, verdict: deny}\n"
            "    - {from: [], to: a/-=x, port: [80, a--b], verdict: deny}\n"
        ),
        [
            "suite.yaml:19:8: expect.flows[0].from: Invalid value: \"a/b/c\": 'b/c' is not a pod (labels are KEY=VALUE)",
            "suite.yaml:19:21: expect.flows[0].to: Invalid value: \"A/x\": 'A' is not a namespace",
            "suite.yaml:19:32: expect.flows[0].port: Invalid value: 0: 0 is not a port: must be between 1 and 65535",
            "suite.yaml:20:8: expect.flows[1].from: Invalid value: 7: must be text such as frontend/web, monitoring/*, partner-api or *",
            "suite.yaml:20:29: expect.flows[1].port: Invalid value: \"http/tpc\": 'tpc' is not a protocol: use TCP, UDP or SCTP",
            "suite.yaml:21:8: expect.flows[2].from: must not be empty",
            (
                "suite.yaml:21:18: expect.flows[2].to: Invalid value: \"a/-=x\": '-=x' is not a label KEY=VALUE: name part must "
                "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            ),
            (
                "suite.yaml:21:29: expect.flows[2].port: Invalid value: [80, \"a--b\"]: 'a--b' is not a port: must not contain "
                "consecutive hyphens"
            ),
        ],
    ),
    "steps": (
        (
            "expect: {default: deny}\nsteps:\n  - name: ''\n    do: []\n  - name: x\n    do:\n"
            "      - {label: {namespace: a, pod: a/web, set: {x: y}}}\n      - {}\n"
            "      - {label: {namespace: a, set: {x: 1}}}\n      - {delete: {pod: a/b}}\n"
        ),
        [
            "suite.yaml:19:5: steps[0].name: must not be empty",
            "suite.yaml:20:5: steps[0].do: must not be empty",
            "suite.yaml:23:10: steps[1].do[0].label: Invalid value: {…}: name either a namespace or a pod",
            "suite.yaml:24:9: steps[1].do[1]: Invalid value: {}: needs exactly one of label, annotate, apply, delete",
            "suite.yaml:25:38: steps[1].do[2].label.set.x: Invalid value: 1: must be a string, not a number; put it in quotes",
            'suite.yaml:26:19: steps[1].do[3].delete.pod: Invalid value: "pod": not a policy kind such as networkpolicy',
        ],
    ),
    "what else is wrong with the other rows, files and steps": (
        (
            "policies: [{file: x}, missing.yaml]\nexpect:\n  flows:\n    - {from: a/web, to: a/db, verdict: yes}\n"
            "    - {from: a/webb, to: a/db, verdict: deny}\nsteps:\n  - {name: one, do: []}\n"
            "  - {name: two, do: [{delete: {networkpolicy: x}}]}\n"
        ),
        [
            "suite.yaml:17:12: policies[0].path: Required value",
            'suite.yaml:17:13: policies[0].file: unknown field "file"',
            "suite.yaml:20:31: expect.flows[0].verdict: Invalid value: true: must be allow or deny",
            "suite.yaml:23:17: steps[0].do: must not be empty",
            "suite.yaml:17:23: policies[1]: missing.yaml: no such file or folder",
            "suite.yaml:24:22: steps[1].do[0]: 'x' is not of the form NAMESPACE/NAME",
            "suite.yaml:21:7: expect.flows[1].from: a/webb matches nothing; did you mean a/web?",
        ],
    ),
}


@pytest.mark.parametrize(("body", "expected"), [pytest.param(*row, id=name) for name, row in FORM.items()])
def test_what_is_wrong_is_reported_with_its_place(body: str, expected: list[str], problems: Problems) -> None:
    assert problems(body) == expected


TOPOLOGIES = {
    "namespaces: [{name: A}]": 'topology.namespaces[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist',
    "namespaces: [{name: a}, {name: a}]": "topology.namespaces[1].name: a is already at topology.namespaces[0].name",
    "namespaces: [{name: a, pods: [{name: p}, {name: p}]}]": "topology.namespaces[0].pods[1].name: p is already at",
    "namespaces: [{name: a, pods: [{name: p-1}, {name: p, replicas: 2}]}]": "topology.namespaces[0].pods[1].name: p-1 is already at",
    "namespaces: [{name: a, pods: [{name: p, ports: [80, 80/tcp]}]}]": "topology.namespaces[0].pods[0].ports[1]: 80/TCP is already at",
    "namespaces: [{name: a, pods: [{name: p, ports: [http]}]}]": 'topology.namespaces[0].pods[0].ports[0]: Invalid value: "http": a port is declared by its number',
    "namespaces: [{name: a, pods: [{name: p, replicas: 0}]}]": "topology.namespaces[0].pods[0].replicas: Invalid value: 0: input should be greater than or equal to 1",
    "namespaces: [{name: a, labels: {x: on}}]": "topology.namespaces[0].labels.x: Invalid value: true: must be a string, not a boolean; put it in quotes",
    "namespaces: [{name: a}], external: [{name: e, address: 10.0.0.0/8}]": 'topology.external[0].address: Invalid value: "10.0.0.0/8": must be an address such as 203.0.113.50',
    "namespaces: [{name: a}], external: [{name: e, address: 192.0.2.1}, {name: f, address: 192.0.2.1}]": "topology.external[1].address: 192.0.2.1 is already at topology.external[0].address",
}


@pytest.mark.parametrize(("topology", "message"), TOPOLOGIES.items())
def test_what_is_wrong_with_a_topology(topology: str, message: str, problems: Problems) -> None:
    (problem,) = problems(f"topology: {{{topology}}}\n{MINIMAL}", topology=False)
    assert problem.startswith("suite.yaml:4:")
    assert message in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "suite.yaml: the file is empty"),
        (
            "kind: Pod\n",
            "suite.yaml:1: not a suite: expected apiVersion: netprobe/v1alpha1 and kind: ConnectivitySuite",
        ),
        ("a: 1\n---\nb: 2\n", "suite.yaml: holds 2 documents; a suite is one"),
        (
            "a: [\n",
            "suite.yaml:2:1: not YAML: did not find expected node content (while parsing a flow node)",
        ),
        (
            HEAD.replace("v1alpha1", "v2") + MINIMAL,
            "suite.yaml:1:1: apiVersion: Unsupported value: \"netprobe/v2\": must be 'netprobe/v1alpha1'",
        ),
        (HEAD + MINIMAL + MINIMAL, "suite.yaml:5:1: expect: this key is already in line 4"),
    ],
)
def test_what_is_no_suite(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value).replace(f"{tmp_path}/", "") == message


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD + "topology: {namespaces: [{name: a}]}\n" + MINIMAL
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert load("-").file == "<stdin>"


POLICIES = {
    "a folder that is not there": (
        "policies: [nowhere]\n",
        {},
        ["suite.yaml:17:12: policies[0]: nowhere: no such file or folder"],
    ),
    "a namespace that the topology lacks": (
        "policies: [p.yaml]\n",
        {"p": POLICY.replace("name: %s", "name: p, namespace: c")},
        ["p.yaml:3:21: metadata.namespace: the topology has no namespace c"],
    ),
    "no namespace at all": (
        "policies: [p.yaml]\n",
        {"p": POLICY % "p"},
        [
            "p.yaml:3:1: metadata.namespace: names no namespace; say which one at suite.yaml:17:12: {path: …, namespace: …}"
        ],
    ),
    "two policies of one name": (
        "policies: [{path: p.yaml, namespace: a}, {path: q.yaml, namespace: a}]\n",
        {
            "p": POLICY % "p",
            "q": (POLICY % "p").replace("podSelector: {}", "podSelector: {matchLabels: {a: b}}"),
        },
        [
            (
                "q.yaml:3:12: metadata.name: NetworkPolicy a/p is already at p.yaml:1, with different content; "
                "give one of them another name"
            ),
        ],
    ),
    "what is no policy": (
        "policies: [p.yaml]\n",
        {"p": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"},
        ["p.yaml:2:1: kind: a suite applies policies, tiers and network sets; this is a Pod"],
    ),
    "another CNI's": (
        "policies: [p.yaml]\n",
        {"p": "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"},
        [
            "suite.yaml:17:12: policies[0]: holds 1 CiliumNetworkPolicy.cilium.io: neither applied nor simulated"
        ],
    ),
    "a bad policy, and a bad row": (
        "policies: [{path: p.yaml, namespace: a}]\n",
        {"p": POLICY.replace("{podSelector: {}}", "{podSelectr: {}}") % "p"},
        [
            'p.yaml:4:8: spec.podSelectr: unknown field "spec.podSelectr"; did you mean podSelector?',
            "suite.yaml:18:18: expect.flows[0].from: x/y matches nothing",
        ],
    ),
}


@pytest.mark.parametrize(
    ("body", "files", "expected"), [pytest.param(*row, id=name) for name, row in POLICIES.items()]
)
def test_what_is_wrong_with_policies(
    body: str, files: dict[str, str], expected: list[str], problems: Problems
) -> None:
    row = "x/y" if len(expected) > 1 else "a/web"
    body += f"expect: {{flows: [{{from: {row}, to: a/db, verdict: deny}}]}}\n"
    assert problems(body, topology=True, **files) == expected


STEPS = {
    "label: {namespace: c, set: {x: z}}": "there is no namespace c",
    "label: {pod: a/nobody, set: {x: z}}": "there is no pod a/nobody",
    "label: {pod: nobody, set: {x: z}}": "'nobody' is not of the form NAMESPACE/NAME",
    "delete: {networkpolicy: a/q}": "there is no NetworkPolicy a/q at this point (there are: a/p)",
}


@pytest.mark.parametrize(("action", "message"), STEPS.items())
def test_steps_that_cannot_be_taken(action: str, message: str, problems: Problems) -> None:
    found = problems(
        f"{MINIMAL}policies: [{{path: p.yaml, namespace: a}}]\nsteps: [{{name: s, do: [{{{action}}}]}}]\n",
        p=POLICY % "p",
    )
    assert found == [f"suite.yaml:19:24: steps[0].do[0]: {message}"]


def test_what_comes_out(suite: LoadSuite) -> None:
    found = suite(f"{MINIMAL}policies: [{{path: p.yaml, namespace: a}}]\n", p=POLICY % "p")
    assert (found.name, found.externals[0]) == ("s", External(ip_address("203.0.113.50"), "partner"))
    (document,) = found.policies
    assert document.object["metadata"] == {"name": "p", "namespace": "a"}
    cluster = found.cluster()
    assert [policy.ref for policy in cluster.policies] == [PolicyRef("a", "p")]
    assert [str(pod.addresses[0]) for pod in cluster.pods.values()] == [
        "10.244.0.10",
        "10.244.0.11",
        "10.244.0.12",
        "10.244.0.13",
    ]
    assert cluster.pods[PodRef("b", "dns-1")].ports == (
        ContainerPort(53, Protocol.UDP),
        ContainerPort(53, Protocol.TCP, "tcp"),
    )
    assert dict(cluster.namespaces["a"].labels) == {"team": "one", "kubernetes.io/metadata.name": "a"}


def test_listeners_are_what_is_declared_and_what_any_row_names(suite: LoadSuite) -> None:
    found = suite(
        """\
        expect: {flows: [{from: a/web, to: a/db, port: [5432, 9], verdict: deny}]}
        steps:
          - name: later
            do: [{annotate: {pod: a/db, set: {x: "1"}}}]
            expect: {flows: [{from: a/web, to: [a/db, stranger], port: [7/UDP, 9], verdict: deny}]}
        """
    )
    listeners = found.listeners()
    assert listeners[PodRef("a", "db")] == (
        ContainerPort(5432),
        ContainerPort(9),
        ContainerPort(7, Protocol.UDP),
    )
    assert listeners[External(ip_address("198.51.100.7"), "stranger")] == (
        ContainerPort(7, Protocol.UDP),
        ContainerPort(9),
    )
    assert listeners[PodRef("a", "web")] == (ContainerPort(80), ContainerPort(9090, name="metrics"))


def test_a_step_without_an_expectation_keeps_the_one_before(suite: LoadSuite) -> None:
    found = suite(f"{MINIMAL}steps: [{{name: s, do: [{{label: {{namespace: a, set: {{x: z}}}}}}]}}]\n")
    first, second = (moment.declared for moment in found.moments())
    assert first == second
