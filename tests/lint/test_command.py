"""`netprobe lint` as it is typed: statuses, formats, files."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Final

import pytest
import yaml

from netprobe.cli import main
from netprobe.kube import connect
from netprobe.lab import Lab
from netprobe.lint import catalogue, lint, read
from netprobe.lint.read import from_objects
from netprobe.model.objects import Object
from tests.conftest import Golden
from tests.lint.test_fix import BLOCK
from tests.lint.test_sarif import TEXT
from tests.manifest_text import documents, namespace, policy

CLEAN = policy("{podSelector: {}, policyTypes: [Ingress]}")
WARNED = policy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}")
REFUSED = policy(
    "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}], "
    'ports: [{port: "80"}]}]}'
)
Output = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_status(folder: Path) -> None:
    for text, options, status in (
        (CLEAN, [], 0),
        (WARNED, [], 0),
        (WARNED, ["--strict"], 1),
        (REFUSED, [], 1),
        ("{ not yaml", [], 2),
    ):
        (folder / "p.yaml").write_text(text)
        assert main(["lint", "p.yaml", *options]) == status, (text, options)


def test_what_the_server_refuses_is_reported_at_its_place(folder: Path, capsys: Output) -> None:
    (folder / "p.yaml").write_text(REFUSED)
    main(["lint", "-f", "p.yaml"])
    out = capsys.readouterr().out
    assert "strict subset of `cidr`" in out
    assert "must contain at least one letter" in out
    column = REFUSED.index("11.0.0.0/8") + 1
    assert f"p.yaml:1:{column}: error invalid: shop/p: " in out
    assert "2 errors in 1 policy" in out


def test_a_pipe_is_read_once(folder: Path, capsys: Output) -> None:
    """As with `netprobe lint <(kubectl get netpol -o yaml)`."""
    read, write = os.pipe()
    os.write(write, WARNED.encode())
    os.close(write)
    try:
        main(["lint", f"/dev/fd/{read}"])
    finally:
        os.close(read)
    assert "in 1 policy" in capsys.readouterr().out


def test_of_files_with_one_policy_the_one_that_is_named_first_counts(folder: Path, capsys: Output) -> None:
    files = [f"{letter}.yaml" for letter in "hgfedcba"]
    for number, file in enumerate(files):
        (folder / file).write_text(policy(f"{{podSelector: {{matchLabels: {{n: '{number}'}}}}}}"))
    main(["lint", *files])
    assert capsys.readouterr().out.count("is already at h.yaml:1") == 7


def test_what_cannot_be_read_does_not_hide_the_rest(folder: Path, capsys: Output) -> None:
    (folder / "p.yaml").write_text(WARNED)
    (folder / "bad.yaml").write_text("apiVersion: v1\nkind: [\n")
    assert main(["lint", "."]) == 2
    captured = capsys.readouterr()
    assert "no-ports" in captured.out
    assert "bad.yaml:" in captured.err


def test_each_overlay_is_judged_with_its_own_variant(folder: Path, capsys: Output) -> None:
    for overlay, text in (("production", CLEAN), ("staging", WARNED)):
        (folder / overlay).mkdir()
        (folder / overlay / "p.yaml").write_text(text)
    assert main(["lint", "."]) == 0
    out = capsys.readouterr().out
    assert "staging/p.yaml:1:" in out
    assert "warning no-ports" in out
    assert "staging/p.yaml:1:68: note duplicate-name: shop/p: shop/p is already at production/p.yaml:1" in out
    assert "in 2 policies" in out


def test_of_very_many_variants_each_is_judged_next_to_its_own_folder(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny = policy("{podSelector: {}, policyTypes: [Ingress]}", name="deny")
    allow = policy("{podSelector: {matchLabels: {app: a}}, ingress: [{ports: [{port: 80}]}]}", name="allow")
    for app, text in (("a", documents(deny, allow)), ("b", documents(deny, allow)), ("c", allow)):
        (folder / app).mkdir()
        (folder / app / "p.yaml").write_text(text.replace("port: 80}", f"port: {80 + ord(app)}}}"))
    counts = []
    for work in (50_000, 0):
        monkeypatch.setattr(read, "MOST_WORK", work)
        assert main(["lint", "."]) == 0
        counts.append(capsys.readouterr().out.count(" missing-default-deny: "))
    assert counts == [0, 1], "without the default deny of the others, c has none"


def test_a_copy_in_the_same_file_is_judged_and_reported(folder: Path, capsys: Output) -> None:
    (folder / "p.yaml").write_text(documents(CLEAN, WARNED))
    main(["lint", "p.yaml", "-o", "json"])
    rules = {(each["rule"], each["severity"]) for each in json.loads(capsys.readouterr().out)["findings"]}
    assert rules == {("duplicate-name", "warning"), ("no-ports", "warning")}


def test_fix_writes_the_file_and_says_what(folder: Path, capsys: Output) -> None:
    file = folder / "p.yaml"
    file.write_text(BLOCK)
    assert main(["lint", "p.yaml"]) == 1
    assert "[--fix]" in capsys.readouterr().out
    assert file.read_text() == BLOCK
    assert main(["lint", "--fix", "p.yaml"]) == 0
    assert "    - Egress\n" in file.read_text()
    captured = capsys.readouterr()
    assert "fixed ineffective-section" in captured.err
    assert "ineffective-section" not in captured.out


def test_configuration_is_found_upwards_and_checked(folder: Path, capsys: Output) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "p.yaml").write_text(WARNED)
    (folder / ".netprobe.yaml").write_text("lint:\n  severity: {no-ports: error}\n")
    assert main(["lint", "sub"]) == 1
    (folder / ".netprobe.yaml").write_text("lint:\n  exclude: [sub/]\n")
    assert main(["lint", "sub"]) == 0
    assert "0 policies" in capsys.readouterr().out
    (folder / ".netprobe.yaml").write_text("lint:\n  disable:\n    - no-such\n")
    assert main(["lint", "sub"]) == 2
    assert ".netprobe.yaml:3:7: lint.disable[0]: no rule 'no-such'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["json", "junit", "github"])
def test_formats(folder: Path, capsys: Output, golden: Golden, name: str) -> None:
    """A finding that can be fixed, and one that an annotation silences."""
    (folder / "p.yaml").write_text(TEXT)
    assert main(["lint", "p.yaml", "-o", name]) == 0
    golden(f"lint.{name}", capsys.readouterr().out)


def test_warnings_do_not_drown_in_notes(folder: Path, capsys: Output) -> None:
    noted = "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}"
    many = [policy(noted.replace("a}", f"a{number}}}"), name=f"p{number}") for number in range(30)]
    (folder / "p.yaml").write_text(documents(*many, WARNED.replace("name: p,", "name: last,")))
    assert main(["lint", "p.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.count(" note no-ports: ") == 20
    assert out.count(" warning no-ports: ") == 1
    assert "10 more notes of no-ports: -o json shows all" in out


def test_explain(capsys: Output) -> None:
    assert main(["lint", "--explain"]) == 0
    listing = capsys.readouterr().out
    assert all(rule in listing for rule in catalogue())
    assert main(["lint", "--explain", "or-for-and"]) == 0
    assert "Fails:" in capsys.readouterr().out


def test_a_live_cluster_has_no_files_but_is_whole() -> None:
    spec = "{podSelector: {}, policyTypes: [Ingress], egress: [{}], ingress: [{from: [PEER]}]}"
    gone = policy(spec.replace("PEER", "{namespaceSelector: {matchLabels: {team: gone}}}"))
    ignoring = gone.replace("name: p,", "name: p, annotations: {netprobe.dev/ignore-no-ports: x},")
    gathered = from_objects(list(yaml.safe_load_all(documents(namespace("shop"), ignoring))))
    result = lint(gathered.view())
    assert [finding.rule for finding in result.findings] == ["ineffective-section", "unmatched-namespace"]
    assert {finding.place for finding in result.findings} == {"networkpolicy/shop/p"}
    assert len(result.silenced) == 1


def test_objects_of_a_run_in_a_live_cluster_are_left_out_and_counted() -> None:
    peer = "{namespaceSelector: {matchLabels: {team: gone}}}"
    spec = f"{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}"
    run = {"netprobe.dev/run": "12345678"}
    of_run = policy(spec).replace("name: p,", "name: p, labels: {netprobe.dev/run: '12345678'},")
    objects = yaml.safe_load_all(
        documents(
            namespace("shop"),
            namespace("netprobe-12345678", **run),
            policy(spec, namespace="netprobe-12345678"),
            of_run,
        )
    )
    linted = from_objects(list(objects)).lint()
    assert linted.findings == ()
    assert linted.warnings == ("left out: 3 objects of netprobe runs (label netprobe.dev/run)",)
    assert from_objects(list(yaml.safe_load_all(documents(namespace("shop"), policy(spec))))).lint().findings


DEFINITION: Final[Object] = yaml.safe_load("""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ciliumnetworkpolicies.cilium.io}
spec:
  group: cilium.io
  scope: Namespaced
  names: {kind: CiliumNetworkPolicy, plural: ciliumnetworkpolicies}
  versions: [{name: v2, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
""")


@pytest.mark.lab
def test_a_live_cluster_with_a_kind_that_is_not_simulated(lab: Lab, capsys: Output) -> None:
    home = "lint-unsimulated"

    async def create() -> None:
        async with connect(str(lab.kubeconfig)) as cluster:
            await cluster.apply(DEFINITION)
            await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
            metadata = {"name": "l7", "namespace": home}
            kind = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy"}
            await cluster.apply({**kind, "metadata": metadata})

    async def remove() -> None:  # the lab is everybody's
        async with connect(str(lab.kubeconfig)) as cluster:
            await cluster.delete("CustomResourceDefinition", DEFINITION["metadata"]["name"])
            await cluster.delete("Namespace", home)

    try:
        asyncio.run(create())
        assert main(["lint", "--kubeconfig", str(lab.kubeconfig)]) == 0
    finally:
        asyncio.run(remove())
    out = capsys.readouterr().out
    assert f"ciliumnetworkpolicy/{home}/l7: note not-simulated: " in out
    assert "not simulated, though they may decide flows: 1 CiliumNetworkPolicy" in out


def test_a_tier_that_the_manifests_do_not_contain(folder: Path, capsys: Output) -> None:
    spec = "{tier: gone, selector: all(), ingress: [{action: Deny}]}"
    deny = (
        "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: gone.x}, "
        f"spec: {spec}}}\n"
    )
    (folder / "p.yaml").write_text(documents(deny, policy("{podSelector: {}, ingress: [{}]}")))
    for options, found in (([], False), (["--tier", "gone=10"], True)):
        assert main(["lint", "p.yaml", *options]) == 0
        assert ("shadowed-rule" in capsys.readouterr().out) is found


def test_kinds_that_may_not_be_listed_are_named() -> None:
    linted = from_objects([], ["CiliumNetworkPolicy"]).lint()
    assert [each.rule for each in linted.findings] == ["not-simulated"]
    assert "may not list CiliumNetworkPolicy" in linted.warnings[0]


def test_a_suite_tells_the_labels_of_its_topology(capsys: Output) -> None:
    examples = Path(__file__).parents[2] / "manifests"
    assert main(["lint", str(examples / "namespace-labels" / "suite.yaml")]) == 0
    out = capsys.readouterr().out
    assert "warning unmatched-namespace: " in out
    assert "none has the label tier" in out
    assert main(["lint", str(examples / "production" / "suite.yaml"), "--strict"]) == 0
    assert "nothing found" in capsys.readouterr().out


def test_the_worked_examples(capsys: Output) -> None:
    for example, rules in {
        "production-mistake": {"or-for-and": 2, "no-dns": 1, "egress-to-anywhere": 1},
        "production": {},
        "pipeline": {},
        "five-workloads": {},
        "same-namespace": {},
    }.items():
        path = Path(__file__).parents[2] / "manifests" / example / "policies"
        assert main(["lint", str(path), "-o", "json"]) == 0
        findings = [finding["rule"] for finding in json.loads(capsys.readouterr().out)["findings"]]
        assert {rule: findings.count(rule) for rule in findings} == rules, example
