"""SARIF held against the parts of the 2.1.0 standard that are used here, and against what GitHub asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from netprobe.cli import main
from tests.lint.helpers import documents, namespace, policy

TEXT = {"type": "string", "minLength": 1}
NATURAL = {"type": "integer", "minimum": 0}
LINE = {"type": "integer", "minimum": 1}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def some(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


MESSAGE = closed({"text": TEXT})
ARTIFACT = closed({"uri": {**TEXT, "format": "uri-reference", "pattern": r"^[^ \\]+$"}})
REPLACEMENT = closed(
    {"deletedRegion": closed({"charOffset": NATURAL, "charLength": NATURAL})}, insertedContent=MESSAGE
)
RESULT = closed(
    {
        "ruleId": TEXT,
        "ruleIndex": NATURAL,
        "level": LEVEL,
        "message": MESSAGE,
        "locations": some(
            closed(
                {"logicalLocations": some(closed({"fullyQualifiedName": TEXT, "kind": TEXT}))},
                physicalLocation=closed(
                    {"artifactLocation": ARTIFACT, "region": closed({"startLine": LINE, "startColumn": LINE})}
                ),
            )
        ),
    },
    fixes=some(
        closed(
            {
                "description": MESSAGE,
                "artifactChanges": some(
                    closed({"artifactLocation": ARTIFACT, "replacements": some(REPLACEMENT)})
                ),
            }
        )
    ),
    suppressions=some(closed({"kind": {"enum": ["inSource", "external"]}, "justification": TEXT})),
)
RULE = closed(
    {
        "id": {**TEXT, "maxLength": 255},
        "name": {**TEXT, "maxLength": 255},
        "shortDescription": closed({"text": {**TEXT, "maxLength": 1024}}),
        "fullDescription": closed({"text": {**TEXT, "maxLength": 1024}}),
        "help": closed({"text": TEXT, "markdown": TEXT}),
        "defaultConfiguration": closed({"level": LEVEL}),
    }
)
LOG = closed(
    {
        "$schema": TEXT,
        "version": {"const": "2.1.0"},
        "runs": some(
            closed(
                {
                    "tool": closed({"driver": closed({"name": TEXT, "version": TEXT, "rules": some(RULE)})}),
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                }
            )
        ),
    }
)
"""Members and types as the standard's own schema has them, against which the output was held too."""

SLIPS = documents(
    namespace("monitoring"),
    namespace("shop"),
    policy(
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {name: monitoring}}}]}]}",
        name="a",
    ).replace("name: a,", "name: a, annotations: {netprobe.dev/ignore-no-ports: because},"),
)


@pytest.mark.parametrize("absolute", [False, True])
def test_the_log_keeps_to_the_standard(
    absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("two words.yaml")
    file.write_text(SLIPS, encoding="utf-8")
    assert main(["lint", str(file.resolve() if absolute else file), "-o", "sarif"]) == 0
    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, LOG)
    results = log["runs"][0]["results"]
    assert any("fixes" in result for result in results)
    assert any("suppressions" in result for result in results)
    found = results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert found == (file.resolve().as_uri() if absolute else "two%20words.yaml")


def test_nothing_found_is_a_log_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(policy("{podSelector: {}, policyTypes: [Ingress]}"), encoding="utf-8")
    assert main(["lint", str(tmp_path / "p.yaml"), "-o", "sarif"]) == 0
    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, LOG)
    assert log["runs"][0]["results"] == []
