"""What is valid and what is not, against the recorded answers of a real API server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from netprobe.errors import InputError
from netprobe.manifests import load
from netprobe.policies.networkpolicy import validate_policy
from tests.corpus.validation import Case, answers, cases

CASES = cases()
SAID = answers()["cases"]
VALID = [pytest.param(case, id=case.name) for case in CASES if case.valid]
REFUSED = [pytest.param(case, id=case.name) for case in CASES if not case.valid and case.decodes]
UNREADABLE = [pytest.param(case, id=case.name) for case in CASES if not case.decodes]


def _as_json(message: str) -> str:
    """Newer servers print a list as JSON where the recorded one printed a Go literal."""
    return re.sub(r"\[\]networking\.PolicyType\{(.*?)\}", r"[\1]", message)


def write(case: Case, folder: Path) -> Path:
    path = folder / "policy.json"
    path.write_text(json.dumps(case.policy))
    return path


@pytest.mark.parametrize("case", [*VALID, *REFUSED, *UNREADABLE])
def test_the_server_agrees_with_the_rules(case: Case) -> None:
    """The hand-written side of the data against the recorded one."""
    said = SAID[case.name]
    assert said["accepted"] is case.valid
    assert sorted({field for field, *_ in said.get("causes", [])}) == sorted(set(case.at))


@pytest.mark.parametrize("case", VALID)
def test_nothing_valid_is_refused(case: Case, tmp_path: Path) -> None:
    assert validate_policy(case.policy) == []
    assert len(load([write(case, tmp_path)]).cluster.policies) == 1


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_invalid_is_refused_in_the_server_s_words(case: Case) -> None:
    ours = [(error.path, error.type, error.message) for error in validate_policy(case.policy)]
    theirs = [(field, reason, _as_json(message)) for field, reason, message in SAID[case.name]["causes"]]
    assert sorted(ours) == sorted(theirs)


@pytest.mark.parametrize("case", [*REFUSED, *UNREADABLE])
def test_nothing_invalid_is_taken(case: Case, tmp_path: Path) -> None:
    assert validate_policy(case.policy)
    with pytest.raises(InputError) as caught:
        load([write(case, tmp_path)])
    assert {problem.path for problem in caught.value.problems} >= set(case.at)


def test_every_case_has_an_answer_and_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert set(names) == SAID.keys()
