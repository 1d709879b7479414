"""The recorded answers against a real API server: $NETPROBE_TEST_KUBECONFIG names its kubeconfig."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.conformance.fixture_map import fictional_map
from netprobe.conformance.load import builtin
from tests.cluster.real import kubeconfig
from tests.corpus.validation import answers, cases
from tests.corpus.validation.server import Server

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def server() -> Server:
    return Server(Path(kubeconfig()))


def test_a_server_accepts_and_refuses_as_recorded(server: Server) -> None:
    """Messages may change between versions; what is valid, and which fields are not, stays."""
    assert {case.name: server.answer(case.policy) for case in cases()} == answers()


def test_a_server_accepts_every_network_policy_of_the_corpus(server: Server) -> None:
    """Those of other kinds need their CustomResourceDefinitions: conformance runs apply them."""
    for case in builtin():
        for moment in case.steps:
            for policy in fictional_map().policies(moment):
                if policy["apiVersion"] == "networking.k8s.io/v1":
                    metadata = {**policy["metadata"], "namespace": "default"}
                    assert server.answer({**policy, "metadata": metadata}) is None, case.name
