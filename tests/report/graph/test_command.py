"""`netprobe graph` from its arguments to its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.cli import main
from tests.conftest import Golden

MANIFESTS = Path(__file__).parents[3] / "manifests"
FIVE = str(MANIFESTS / "five-workloads" / "suite.yaml")
MISTAKE = MANIFESTS / "production-mistake"

Capture = pytest.CaptureFixture[str]


def graph(capsys: Capture, *arguments: str, status: int = 0) -> str:
    assert main(["graph", *arguments]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def arrows(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if "|" in line}


def test_five_workloads_as_mermaid(capsys: Capture, golden: Golden) -> None:
    """Worked out by hand from scenario and README: a box a namespace, and six arrows."""
    golden("five-workloads.mmd", graph(capsys, FIVE))


def test_what_differs_is_red(capsys: Capture) -> None:
    """The three differences that production-mistake is made for, and no others."""
    text = graph(capsys, str(MISTAKE / "suite.yaml"), "--no-bundle")
    lines = [line for line in text.splitlines() if "|" in line]
    red = next(line for line in text.splitlines() if "linkStyle" in line).split()[1].split(",")
    assert {lines[int(number)].strip() for number in red} == {
        'production__api_server -->|"5432 (declared deny)"| database__mysql',
        'monitoring__grafana -->|"9187 (declared deny)"| production__postgres',
        'production__api_server -.-x|"53/UDP (declared allow)"| dns__coredns',
    }


def test_declared_is_the_declaration(capsys: Capture) -> None:
    text = graph(
        capsys,
        str(MISTAKE / "suite.yaml"),
        "--declared",
        "--from",
        "production/api-server",
        "--denied",
        "none",
    )
    assert "linkStyle" not in text
    assert arrows(text) == {
        'production__api_server -->|"5432"| production__postgres',
        'production__api_server -->|"5432"| database__postgres',
        'production__api_server -->|"443"| outside__partner',
        'production__api_server -->|"53/UDP"| dns__coredns',
    }


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        (["--to", "database/*"], {"5432", "6379"}),
        (["--from", "frontend/web"], {"8080", "5432"}),
        (["--port", "6379"], {"6379"}),
    ],
)
def test_narrowed(capsys: Capture, narrowed: list[str], expected: set[str]) -> None:
    assert {line.split('"')[1] for line in arrows(graph(capsys, FIVE, *narrowed))} == expected


def test_policies_alone(capsys: Capture, tmp_path: Path) -> None:
    text = graph(capsys, "-f", str(_cluster(tmp_path)))
    assert arrows(text) == {
        'shop__web_0 -->|"5432"| shop__db',
        'shop__db -->|"80"| shop__web_0',
        'shop__web_0 -->|"80"| shop__web_0',
    }
    assert 'shop__web_0["web-#42; (3 pods)"]' in text


def test_manifests_by_namespace(capsys: Capture, tmp_path: Path) -> None:
    """Inside the shop everything passes that somebody listens for; from outside the web pods alone."""
    text = graph(capsys, "-f", str(_cluster(tmp_path)), "--by-namespace", "--external", "203.0.113.7")
    assert 'shop__web_0["4 pods"]' in text
    assert arrows(text) == {
        'shop__web_0 -->|"80, 5432"| shop__web_0',
        'outside__203_0_113_7 -->|"80"| shop__web_0',
    }


def test_an_address_outside(capsys: Capture, tmp_path: Path) -> None:
    text = graph(capsys, "-f", str(_cluster(tmp_path)), "--external", "203.0.113.7", "--from", "203.0.113.7")
    assert arrows(text) == {'outside__203_0_113_7 -->|"80"| shop__web_0'}


def test_a_report(capsys: Capture, tmp_path: Path) -> None:
    """The picture is that of the suite; one of an older version does not know the rows without it."""
    assert main(["simulate", FIVE, "-o", "json"]) == 0
    saved = tmp_path / "report.json"
    saved.write_text(capsys.readouterr().out)
    drawn = graph(capsys, FIVE)
    assert graph(capsys, "--report", str(saved)) == drawn
    old = json.loads(saved.read_text())
    for flow in old["flows"]:
        del flow["declared_by"]
    saved.write_text(json.dumps(old))
    assert graph(capsys, FIVE, "--report", str(saved)) == drawn
    assert main(["graph", "--report", str(saved)]) == 0
    alone = capsys.readouterr()
    assert arrows(alone.out) == {arrow for arrow in arrows(drawn) if "-->" in arrow}
    assert "does not say which flows a row denies" in alone.err
    assert len(arrows(graph(capsys, "--report", str(saved), "--denied", "all", "--no-bundle"))) > 20


def test_mermaid_is_given_no_more_than_it_draws(capsys: Capture, tmp_path: Path) -> None:
    ends = {"port": 80, "protocol": "TCP", "simulated": "allow"}
    pairs = [(a, b) for a in range(30) for b in range(30) if a != b]
    flows = [
        {"from": f"{'xy'[a % 2]}/p{a}", "to": f"{'xy'[b % 2]}/p{b}", **ends, "port": b + 1} for a, b in pairs
    ]
    saved = tmp_path / "report.json"
    saved.write_text(json.dumps({"apiVersion": "netprobe/v1alpha1", "kind": "Report", "flows": flows}))
    assert main(["graph", "--report", str(saved), "--no-bundle"]) == 0
    printed = capsys.readouterr()
    assert len(arrows(printed.out)) == 4
    assert "870 arrows are too many for this format" in printed.err
    assert main(["graph", "--report", str(saved), "--no-bundle", "--by-pod"]) == 0
    assert (
        "mermaid draws at most 500 arrows unless maxEdges is raised, and there are 870"
        in capsys.readouterr().err
    )
    assert graph(capsys, "--report", str(saved), "--no-bundle", "-o", "dot").count(" -> ") == 870


def test_what_a_run_observed(capsys: Capture, tmp_path: Path) -> None:
    """Unknown is drawn as such; a flow that was not probed is not among what was seen."""
    saved = tmp_path / "report.json"
    saved.write_text(json.dumps(_report()))
    text = graph(capsys, "--report", str(saved), "--observed")
    assert arrows(text) == {
        'a__x -->|"80 (declared deny)"| b__y',
        'a__x -.-o|"81 unknown"| b__y',
    }
    assert "83" in graph(capsys, "--report", str(saved))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to draw: name a SUITE"),
        (["-f", "x.yaml", "--declared"], "--declared: manifests have policies only"),
        (["-f", "x.yaml", "--step", "1"], "--step goes with"),
        ([FIVE, "--observed"], "--observed: a suite was not probed"),
        ([FIVE, "--step", "3"], "--step 3: "),
        ([FIVE, "--external", "203.0.113.7"], "--external goes with -f alone"),
        ([FIVE, "--from", "nobody/here"], "--from nobody/here: no such pod"),
        (["--report", "missing.json"], "missing.json: cannot be read"),
        (
            [FIVE, "--output-file", "no/such/folder/x.svg"],
            "cannot write no/such/folder/x.svg: not a file in a folder",
        ),
    ],
)
def test_options_that_do_not_fit(capsys: Capture, arguments: list[str], said: str) -> None:
    assert said in " ".join(graph(capsys, *arguments, status=2).split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ":1:2: is not JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ("[]", "should be a valid dictionary"),
        (
            '{"apiVersion": "v1", "kind": "List", "flows": []}',
            "apiVersion: Input should be 'netprobe/v1alpha1'",
        ),
        (
            json.dumps({"apiVersion": "netprobe/v1alpha1", "kind": "Report", "flows": [{}]}),
            "flows[0].from: Field required",
        ),
    ],
)
def test_a_file_that_is_no_report(capsys: Capture, tmp_path: Path, text: str, said: str) -> None:
    saved = tmp_path / "report.json"
    saved.write_text(text)
    told = graph(capsys, "--report", str(saved), status=2)
    assert str(saved) in told
    assert said in told


def test_the_file_name_says_the_format(tmp_path: Path) -> None:
    for name, beginning in {
        "x.svg": "<svg ",
        "x.html": "<!DOCTYPE html>",
        "x.gv": "digraph ",
        "x.txt": "flowchart ",
    }.items():
        assert main(["graph", FIVE, "--output-file", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(beginning)


def test_the_page_holds_the_reason_of_every_pair(capsys: Capture) -> None:
    """That the worker does not reach the API: closed at both ends, and by which policies, where."""
    page = graph(capsys, FIVE, "-o", "html")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    number = {node["name"]: str(index) for index, node in enumerate(data["nodes"])}
    flow, egress, ingress, change = data["pairs"][number["backend/worker"]][number["backend/api"]]
    assert data["flows"][flow][:4] == ["8080", "deny", "deny", None]

    def policies(side: int) -> set[str]:
        isolating, allowing = data["sides"][side]
        assert allowing == []
        return {data["clauses"][clause][0] for clause in isolating}

    assert policies(egress) == {"backend/allow-dns", "backend/default-deny"}
    assert policies(ingress) == {"backend/api", "backend/default-deny"}
    assert data["changes"][change].startswith("To be allowed: add ")
    places = {place for _, _, place in data["clauses"]}
    assert any(place.endswith("policies/backend-default-deny.yaml:7") for place in places)
    pairs = sum(len(targets) for targets in data["pairs"].values())
    assert pairs == 5 * 4 + 5, "every pair of pods, and the internet to each"


def _cluster(folder: Path) -> Path:
    def pod(name: str, port: int) -> dict[str, object]:
        labels = {"app": name.partition("-")[0]}
        ports = [{"containerPort": port}]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": ports}]},
        }

    peer = {"podSelector": {"matchLabels": {"app": "web"}}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [peer]}]},
    }
    items = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}]
    items += [pod(f"web-{number}", 80) for number in range(3)]  # type: ignore[misc]
    path = folder / "cluster.json"
    path.write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [*items, pod("db", 5432), policy]})
    )
    return path


def _report() -> dict[str, object]:
    def flow(
        port: int, declared: str, simulated: str, observed: str | None, *mismatch: str
    ) -> dict[str, object]:
        ends = {"from": "a/x", "to": "b/y", "port": port, "protocol": "TCP", "family": 4}
        verdicts = {"declared": declared, "simulated": simulated, "observed": observed}
        return ends | verdicts | {"mismatch": mismatch, "because": []}

    flows = [
        flow(80, "deny", "deny", "allow", "declared-observed", "simulated-observed"),
        flow(81, "allow", "allow", "unknown"),
        flow(82, "deny", "deny", "deny"),
        flow(83, "allow", "allow", None),
    ]
    return {"apiVersion": "netprobe/v1alpha1", "kind": "Report", "flows": flows}


def test_a_page_of_many_flows_says_for_which_it_tells_a_change(tmp_path: Path, capsys: Capture) -> None:
    from netprobe.report.graph import suggestions

    page = tmp_path / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suggestions, "MOST", 5)
        assert main(["graph", str(FIVE), "--output-file", str(page)]) == 0
    text = page.read_text()
    assert "Changes are suggested for 5 of " in text
    assert text.count("To be allowed: ") + text.count("To be denied: ") <= 5


def test_a_files_name_says_the_format_or_is_asked_about(capsys: Capture, tmp_path: Path) -> None:
    suite = str(MANIFESTS / "five-workloads" / "suite.yaml")
    assert main(["graph", suite, "--output-file", str(tmp_path / "matrix.pdf")]) == 2
    assert "matrix.pdf: unknown format; use -o (mermaid, dot, svg, html)" in capsys.readouterr().err
    assert not (tmp_path / "matrix.pdf").exists()
    assert main(["graph", suite, "--output-file", str(tmp_path / "matrix.md")]) == 0
    assert (tmp_path / "matrix.md").read_text().startswith("flowchart")
