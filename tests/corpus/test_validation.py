"""What is valid and what is not, against the recorded answers of a real API server."""

from __future__ import annotations

from tests.corpus.validation import answers, cases
from tests.policies.reading import validate_policy


def test_the_recorded_server_agrees_with_the_rules() -> None:
    assert {case.name: case.expected for case in cases()} == answers()


def test_every_case_is_accepted_or_refused_as_by_the_server() -> None:
    wrong = {}
    for case in cases():
        paths = sorted({error.path for error in validate_policy(case.policy)})
        is_right = paths == case.expected if case.expected else bool(paths) is (case.expected is not None)
        if not is_right:
            wrong[case.name] = paths
    assert wrong == {}


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in cases()]
    assert len(names) == len(set(names))
