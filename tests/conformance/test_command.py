"""Which cases the command means, and what it says of options that name none."""

from __future__ import annotations

import pytest

from netprobe.cli import main
from netprobe.conformance.case import select_cases
from netprobe.conformance.load import builtin
from netprobe.errors import UsageError


def test_the_list_names_features_rules_and_tags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--list", "--include", "dual-stack"]) == 0
    out = capsys.readouterr().out
    assert "Dual stack\n" in out
    assert "  an IPv4 block opens nothing over IPv6  [dual-stack, block; dual-stack, ingress, more]" in out
    assert out.endswith("9 cases\n")


def test_tags_rules_and_features_choose() -> None:
    every = builtin()
    assert {case.feature for case in select_cases(every, include=["named-ports"])} == {"Named ports"}
    assert all("end-port" in case.rules for case in select_cases(every, include=["end-port"]))
    assert not [case for case in select_cases(every, exclude=["families"]) if "families" in case.tags]
    assert len(select_cases(every, only=["ingress: peers * | *"])) == 45


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"include": ["named-prot"]}, "did you mean 'named-port'"),
        ({"only": ["ingress: the bas"]}, "did you mean 'ingress: the base'"),
        ({"include": ["upstream"], "exclude": ["upstream"]}, "no case is left"),
    ],
)
def test_a_word_that_nothing_has_is_a_mistake(options: dict[str, list[str]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        select_cases(builtin(), **options)


def test_two_cases_of_one_name() -> None:
    with pytest.raises(UsageError, match="names must be unique"):
        select_cases([*builtin(), builtin()[0]])
