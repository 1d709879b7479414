"""What a user reads about a refused field: what to write instead."""

from __future__ import annotations

from tests.conftest import Answers
from tests.manifests.conftest import Problems

POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"


def test_a_mistake_is_explained(answers: Answers, problems: Problems) -> None:
    """Each text follows the first lines of a policy."""
    answers("hints.txt", lambda text: problems(f"{POLICY}{text}"))
