"""docs/suite.md and docs/suite.schema.json: examples load, and the format's fields are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from netprobe.simulate import Simulator
from netprobe.suite import load
from netprobe.suite.schema import ActionSpec, ExternalSpec, NamespaceSpec, PodSpec, json_schema

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "suite.schema.json"
SUITES = sorted((ROOT / "manifests").glob("*/suite.yaml"))
PAGE = (ROOT / "docs" / "suite.md").read_text()
BLOCKS = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in BLOCKS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def declared_and_simulated(path: Path) -> list[int]:
    """How many flows each moment declares, all of which the policies must bear out."""
    counts = []
    for moment in load(path).moments():
        simulated = Simulator(moment.cluster).matrix(moment.declared)
        assert {flow: decision.verdict for flow, decision in simulated.items()} == dict(moment.declared)
        counts.append(len(moment.declared))
    return counts


def test_the_complete_example(folder: Path) -> None:
    """3 flows to each of 2 web pods, 3 x 3 to the API, 3 to the partner."""
    assert declared_and_simulated(folder / "suite.yaml") == [3 + 3 + 9 + 3] * 2


def test_the_example_of_a_policy_without_a_namespace(folder: Path) -> None:
    assert declared_and_simulated(folder / "ci" / "suite.yaml") == [2]


@pytest.mark.parametrize("model", [NamespaceSpec, PodSpec, ExternalSpec, ActionSpec])
def test_every_field_is_on_the_page(
    model: type[NamespaceSpec | PodSpec | ExternalSpec | ActionSpec],
) -> None:
    for field in model.model_fields:
        assert re.search(rf"`[^`\n]*\b{field}\b", PAGE), field


def test_every_yaml_block_is_an_example_that_is_loaded() -> None:
    assert PAGE.count("```yaml") == len(BLOCKS)


def test_the_file_is_that_of_the_models(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        SCHEMA.write_text(json.dumps(json_schema(), indent=1) + "\n")
    assert json.loads(SCHEMA.read_text()) == json_schema()


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def test_it_accepts_the_examples(validator: jsonschema.Draft202012Validator) -> None:
    assert len(SUITES) > 8
    for path in SUITES:
        assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == [], path


def test_it_finds_mistakes(validator: jsonschema.Draft202012Validator) -> None:
    suite = yaml.safe_load(SUITES[0].read_text())
    changes: list[dict[str, object]]
    changes = [{"topolgy": {}}, {"expect": {"default": "maybe"}}, {"policies": [80]}, {"metadata": {}}]
    assert [change for change in changes if validator.is_valid(suite | change)] == []
