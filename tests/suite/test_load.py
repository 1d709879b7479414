"""Reading a suite: what is wrong with it, all at once, and what comes out."""

from __future__ import annotations

import io
import re
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest

from netprobe.errors import InputError
from netprobe.model.flow import ContainerPort, External, PodRef, Protocol
from netprobe.model.policy import PolicyRef
from netprobe.suite import load
from tests.conftest import Answers
from tests.suite.conftest import HEAD, POLICY, LoadSuite, Problems

MINIMAL = "expect: {default: deny}\n"


def test_what_is_wrong_is_reported_with_its_place(answers: Answers, problems: Problems) -> None:
    """Files of a suite follow it, each after a line of `@NAME.yaml`."""

    def ask(text: str) -> list[str]:
        body, *files = re.split(r"^@(\w+)\.yaml\n", text, flags=re.MULTILINE)
        named = dict(zip(files[::2], files[1::2], strict=True))
        return problems(body, topology="topology:" not in body, **named)

    answers("problems.txt", ask)


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
