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


def test_it_accepts_the_examples() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert len(SUITES) > 8
    for path in SUITES:
        assert list(validator.iter_errors(yaml.safe_load(path.read_text()))) == [], path


@pytest.mark.parametrize(
    "change",
    [{"topolgy": {}}, {"expect": {"default": "maybe"}}, {"policies": [80]}, {"metadata": {}}],
    ids=str,
)
def test_it_finds_mistakes(change: dict[str, object]) -> None:
    suite = yaml.safe_load(SUITES[0].read_text()) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(suite, json_schema())
