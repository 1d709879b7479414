"""Yes or no, for scripts; and a first suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.cli.can import target, undecided
from netprobe.debug import Answer, StepStatus
from netprobe.debug.records import Question
from netprobe.debug.steps import Step
from netprobe.model.flow import Protocol
from tests.cli.conftest import Program
from tests.shop import SHOP


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "all.yaml").write_text(SHOP)
    return str(tmp_path / "shop")


@pytest.mark.parametrize(
    ("source", "destination", "answer", "status"),
    [
        ("shop/web", "shop/db:5432", "yes", 0),
        ("shop/web", "shop/db:5433", "no", 1),
        ("shop/web", "shop/db:53/udp", "no", 1),
        ("shop/db", "shop/web", "yes", 0),
        ("shop/web", "203.0.113.7:443", "yes", 0),
        ("shop/web", "[2001:db8::7]:443", "yes", 0),
        ("203.0.113.7", "shop/db:5432", "no", 1),
        ("[2001:db8::7]", "shop/web:80", "yes", 0),
    ],
)
def test_can(
    program: Program, manifests: str, *, source: str, destination: str, answer: str, status: int
) -> None:
    done = program("can", source, destination, manifests)
    assert (done.returncode, done.stdout) == (status, f"{answer}\n")
    assert bool(done.stderr) is (status != 0)
    document = json.loads(program("can", source, destination, "-f", manifests, "-o", "json").stdout)
    assert (document["answer"], document["from"]) == (answer, source)


def test_an_address_with_a_port_needs_brackets() -> None:
    assert target("2001:db8::7") == ("2001:db8::7", None)
    with pytest.raises(ValueError, match=r"\[ADDRESS\]:PORT"):
        target("2001:db8::1234:5:6:7:8:443")


def test_a_live_answer_that_proves_nothing_says_what_was_seen() -> None:
    question = Question("shop/web", "shop/db", 5432, Protocol.TCP)
    steps = (
        Step("policies", StepStatus.OK, "allowed"),
        Step("listener", StepStatus.UNKNOWN, "shop/db:5432: unknown"),
        Step("packets", StepStatus.PROBLEM, "10.0.0.2:5432 no answer"),
    )
    assert undecided(Answer(question, steps, (), connects=False, unsent="")) == (
        "it did not connect, and no cause is proven (listener: shop/db:5432: unknown; "
        "packets: 10.0.0.2:5432 no answer): netprobe debug shows each step"
    )


def test_a_first_suite_holds_as_it_is(
    program: Program, manifests: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = program("init", manifests)
    assert (done.returncode, done.stdout) == (0, "")
    assert "4 pods, 2 policies" in done.stderr
    suite = (tmp_path / "suite.yaml").read_text()
    assert "pods: [" in suite or "- name: web" in suite
    assert "pod-template-hash" not in suite
    assert sorted(path.name for path in (tmp_path / "policies").iterdir()) == [
        "shop-cart.yaml",
        "shop-db.yaml",
    ]
    assert program("simulate", "suite.yaml").returncode == 0
    assert program("lint", "suite.yaml").returncode < 2
    again = program("init", manifests)
    assert (again.returncode, "exists" in again.stderr) == (2, True)
    assert program("init", manifests, "-n", "nowhere", "--output-dir", "x").returncode == 2
    assert not (tmp_path / "x").exists()
