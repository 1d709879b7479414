"""What is wrong with a file of cases, all at once, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.conformance.fixture_map import fictional_map
from netprobe.conformance.load import builtin, load
from netprobe.conformance.world import Cell
from netprobe.errors import InputError
from tests.conftest import Answers

GOOD = """
- case: only b reaches a
  rules: [pod-selector]
  tags: [mine]
  moments:
    - policies:
        - in: x
          times: 2
          spec:
            podSelector: {matchLabels: {pod: a}}
            ingress:
              - from: [{podSelector: {matchLabels: {pod: b}}}, {ipBlock: {cidr: <y/a>}}]
                ports: [{port: <n>}]
      labels: {x/b: {<longest key>: <longest value>}}
      expect: |
        * -> x/a  X
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (case,) = load(written(tmp_path, GOOD))
    assert case.keywords >= {"mine", "pod-selector", "pod-selectors", "ingress"}
    assert case.place == f"{tmp_path}/mine.yaml:2"
    (moment,) = case.steps
    assert [policy["metadata"]["name"] for policy in moment.policies] == ["p0-1", "p0-2"]
    assert [p["spec"]["ingress"][0]["ports"][0]["port"] for p in moment.policies] == [1, 2]
    placed = fictional_map().policies(moment)[0]
    assert placed["spec"]["ingress"][0]["from"][1] == {"ipBlock": {"cidr": "10.244.2.1/32"}}
    assert not moment.expected(Cell("y/a", "x/a", "80/TCP"))
    assert moment.expected(Cell("x/a", "y/a", "80/TCP"))


def test_what_is_wrong_is_reported_with_its_line(answers: Answers, tmp_path: Path) -> None:
    """A text's second line stands in the place of its first; `\\n` is a line break."""

    def ask(text: str) -> list[str]:
        old, new = (line.replace(r"\n", "\n") for line in text.splitlines())
        assert old in GOOD
        path = written(tmp_path, GOOD.replace(old, new))
        with pytest.raises(InputError) as caught:
            load(path)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    answers("cases.txt", ask)


def test_a_direction_that_is_not_text_is_refused_by_the_api_server(tmp_path: Path) -> None:
    text = """
- case: odd
  rules: [no-rules]
  moments: [{policies: [{in: x, spec: {podSelector: {}, policyTypes: [[]]}}], expect: "* -> x/*  X"}]
"""
    (case,) = load(written(tmp_path, text))
    assert "ingress" in case.tags


def test_namespaces_selected_by_name_are_the_fixture_s() -> None:
    from dataclasses import replace

    site = replace(fictional_map(), namespaces={short: f"run-{short}" for short in "wxyz"})
    by_name = [case for case in builtin() if "name-label" in case.rules]
    assert by_name
    for case in by_name:
        for moment in case.steps:
            text = str(site.policies(moment))
            assert "'y'" not in text.replace("{'ns': 'y'}", "").replace("['x', 'y']", "").replace(
                "['y', 'z']", ""
            )
            assert "run-" in text


def test_the_example_of_the_manual_loads(tmp_path: Path) -> None:
    import re

    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()
    example = re.search(r"```yaml\n(- case: only b.*?)```", page, re.DOTALL)
    assert example is not None
    (case,) = load(written(tmp_path, example[1]))
    assert case.steps[0].expected(Cell("x/b", "x/a", "80/TCP"))
    assert not case.steps[0].expected(Cell("x/b", "x/a", "81/TCP"))
