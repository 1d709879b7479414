"""The types of options that commands share."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from netprobe.cli.options import DurationType, PortArgument, PortType, ReportFile, ReportType
from netprobe.model.flow import Protocol


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("80", PortArgument(80)),
        ("53/udp", PortArgument(53, Protocol.UDP)),
        ("3868/SCTP", PortArgument(3868, Protocol.SCTP)),
        ("65535/tcp", PortArgument(65535)),
    ],
)
def test_ports(text: str, port: PortArgument) -> None:
    assert PortType().convert(text, None, None) == port


@pytest.mark.parametrize(
    "text", ["0", "65536", "-1", "http", "", "/udp", "80/", "80/icmp", "\uff18\uff10", "80 "]
)
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(click.BadParameter):
        PortType().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("30", 30), ("0", 0), ("1.5s", 1.5), ("2h", 7200)],
)
def test_durations(text: str, seconds: float) -> None:
    assert DurationType().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1s 2s", "abc", "1s!"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DurationType().convert(text, None, None)


def test_reports(tmp_path: Path) -> None:
    convert = ReportType().convert
    assert convert(f"json={tmp_path}/a=b.json", None, None) == ReportFile("json", tmp_path / "a=b.json")
    assert convert("junit=-", None, None) == ReportFile("junit", None)
    for text in ("json", "json=", "=a", "pdf=a", f"json={tmp_path}", f"json={tmp_path}/no/a"):
        with pytest.raises(click.BadParameter):
            convert(text, None, None)
