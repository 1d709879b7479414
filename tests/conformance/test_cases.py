"""The cases as data: each has a known answer, and each rule that packets can show has a case."""

from __future__ import annotations

import json
import re
from pathlib import Path

import netprobe.conformance
from netprobe.conformance.fixture_map import fictional_map, isolated_pods, probed_cells
from netprobe.conformance.load import CaseFile, builtin, rules
from netprobe.conformance.world import PODS, Cell
from netprobe.simulate import Simulator
from tests.policies.reading import refused

DOCS = Path(netprobe.conformance.__file__).parents[2] / "docs"
DATA = Path(netprobe.conformance.__file__).parent / "cases"
SITE = fictional_map()


def test_the_simulator_agrees_with_the_expected_matrices() -> None:
    """A person wrote the matrices; where NetworkPolicy leaves a flow open they say nothing.

    Of each case what a run probes, and of some cases every cell.
    """
    wrong = []
    for number, case in enumerate(builtin()):
        own = [Cell(pod, pod, "80/TCP") for pod in PODS if not case.scope.families]
        whole = number % 4 == 0 and "families" not in case.tags
        cells = (*case.scope.cells(), *own) if whole else (*probed_cells(case), *own)
        for step in case.steps:
            simulator = Simulator(SITE.cluster(case, step))
            for flow, verdict in SITE.declared(step, cells).items():
                decision = simulator.decide(flow)
                if case.undefined is None and decision.undefined is None and decision.verdict is not verdict:
                    wrong.append((case.name, str(flow)))
    assert wrong == []


def test_the_policies_of_all_cases_are_valid() -> None:
    invalid = [
        (case.name, errors)
        for case in builtin()
        for step in case.steps
        for policy in SITE.policies(step)
        if (errors := refused(policy))
    ]
    assert invalid == []


def test_every_rule_that_a_packet_can_show_has_a_case() -> None:
    shown = {rule for case in builtin() for rule in case.rules}
    assert {rule.id for rule in rules().values() if rule.shown == "packet"} == shown


def test_the_page_lists_every_rule_in_its_words() -> None:
    page = (DOCS / "semantics.md").read_text()
    listed = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert listed == [(rule.id, rule.rule, rule.source, rule.shown) for rule in rules().values()]


def test_the_schema_is_the_one_that_files_are_read_by() -> None:
    assert json.loads((DOCS / "conformance.schema.json").read_text()) == CaseFile.model_json_schema()


def test_the_cells_of_a_case_hold_all_that_its_policies_concern() -> None:
    """All that is expected to be denied is probed; of what stays open, something from every source."""
    for case in builtin()[::4]:
        whole = {cell for cell in case.scope.cells() if "SCTP" not in cell.port}
        probed = set(probed_cells(case))
        denied = {cell[:2] for step in case.steps for cell in whole if not step.expected(cell)}
        assert denied <= {cell[:2] for cell in probed}, case.name
        assert set(PODS) <= {cell.source for cell in probed}, case.name
        assert whole <= set(probed_cells(case, full=True)), case.name


def test_a_case_that_concerns_nobody_is_probed_completely() -> None:
    case = next(case for case in builtin() if case.name.startswith("a policy of another namespace"))
    assert isolated_pods(case) == frozenset()
    assert len(probed_cells(case)) == 9 * 8 * 4
