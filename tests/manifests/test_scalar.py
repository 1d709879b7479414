"""Plain scalars: what `kubectl label --local -f - -o json` (1.32) made of each."""

from __future__ import annotations

import pytest

from netprobe.manifests.scalar import Scalar, key_text, resolve

KUBECTL: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "yes": True,
    "On": True,
    "TRUE": True,
    "off": False,
    "No": False,
    "tRue": "tRue",
    "08": 8.0,
    "010": 8,
    "0o17": 15,
    "0x50": 80,
    "-0b11": -3,
    "1_000": 1000,
    "+12": 12,
    "1e3": 1000.0,
    "5.": 5.0,
    ".5": 0.5,
    "80.0": 80.0,
    "1:20": "1:20",
    "2024-01-01": "2024-01-01",
    "12345678901234567890123": 1.2345678901234568e22,
    "v1.0": "v1.0",
    "1.2.3": "1.2.3",
    "-": "-",
    ".": ".",
    "0xg": "0xg",
    "x_1": "x_1",
}


@pytest.mark.parametrize(("text", "value"), KUBECTL.items())
def test_a_plain_scalar_is_what_kubectl_reads(text: str, value: Scalar) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["y", "Y", "n", "N"])
def test_a_lone_letter_is_a_string_unlike_kubectl_s(text: str) -> None:
    assert resolve(text) == text


def test_a_number_without_end_is_read_at_once() -> None:
    assert resolve("9" * 100_000) == float("inf")


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (80, "80"), (True, "true"), (False, "false"), (1.5, "1.5"), (None, None)]
)
def test_a_key_is_text(value: Scalar, text: str | None) -> None:
    assert key_text(value) == text
