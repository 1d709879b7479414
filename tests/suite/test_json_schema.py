"""docs/suite.schema.json accepts what the program accepts."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from netprobe.suite.schema import json_schema

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "suite.schema.json"
SUITES = sorted((ROOT / "manifests").glob("*/suite.yaml"))


def test_the_file_is_that_of_the_models(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        FILE.write_text(json.dumps(json_schema(), indent=1) + "\n")
    assert json.loads(FILE.read_text()) == json_schema()


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
