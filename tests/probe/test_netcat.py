"""What the two netcats say, as they really said it, and what each line means."""

from __future__ import annotations

import pytest

from netprobe.model.flow import Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import netcat
from netprobe.probe.netcat import Answer, AnswerLine, FirstLine, LastLine, Target
from netprobe.probe.pace import Pace

TCP, UDP = Protocol.TCP, Protocol.UDP

SAID = """\
# BusyBox 1.35 in a pod; -vv if the text is longer than with -v
TCP    0 connected           10.244.2.2 (10.244.2.2:80) open sent 0, rcvd 0
TCP    0 connected           ::1 ([::1]:80) open                # open over v6
TCP    1 refused             nc: 10.244.2.2 (10.244.2.2:81): Connection refused sent 0, rcvd 0  # -vv
TCP    1 refused                                                # refused with a single -v: no text at all
TCP    1 timed_out           nc: 10.11.12.13 (10.11.12.13:54): Operation timed out
TCP    1 network_unreachable nc: fd00::1 ([fd00::1]:80): Network unreachable
TCP    1 host_unreachable    nc: 10.0.0.9 (10.0.0.9:80): No route to host  # admin-prohibited
TCP    1 host_unreachable    nc: 10.0.0.9 (10.0.0.9:80): Host is unreachable  # musl's word
TCP    1 no_such_name        nc: bad address 'nosuch.example'
TCP    1 network_unreachable nc: socket(AF_INET6,1,0): Address family not supported by protocol  # no v6
UDP    0 connected           10.244.2.2 (10.244.2.2:53) open answered
UDP    0 timed_out           10.244.2.2 (10.244.2.2:53) open silent  # udp 'open' is no answer
UDP    0 refused             10.244.2.2 (10.244.2.2:53) open refused  # udp port unreachable
UDP    0 exec_failed         10.244.2.2 (10.244.2.2:53) open    # udp without a word of ours
UDP    1 no_such_name        nc: bad address 'nosuch.example'
UDP    1 network_unreachable nc: fd00::1 ([fd00::1]:8): Network unreachable
# Debian's netcat-openbsd 1.219
TCP    0 connected           Connection to 127.0.0.1 80 port [tcp/http] succeeded!
TCP    1 refused             nc: connect to 127.0.0.1 port 81 (tcp) failed: Connection refused
TCP    1 timed_out           nc: connect to 10.1.1.1 port 3 (tcp) timed out: Operation now in progress
TCP    1 network_unreachable nc: connect to 10.1.1.1 port 3 (tcp) failed: Network is unreachable
TCP    1 host_unreachable    nc: connect to 10.1.1.1 port 3 (tcp) failed: No route to host  # admin-prohibited
TCP    1 no_such_name        nc: getaddrinfo for host "x.example" port 80: Name or service not known
TCP    1 no_such_name        nc: getaddrinfo for host "x.example" port 4: Temporary failure in name resolution
TCP  124 timed_out                                              # ended by timeout
TCP  124 timed_out           nc:                                # ended by timeout in the middle of a word
TCP  124 refused             nc: connect to 10.1.1.1 port 3 (tcp) failed: Connection refused  # in time
UDP    0 connected           answered
UDP    1 timed_out           silent
UDP    1 refused             refused                            # udp port unreachable
UDP    1 network_unreachable nc: connect to 10.1.1.1 port 5 (udp) failed: Network is unreachable
# anything else is no verdict
TCP  127 exec_failed         sh: nc: not found                  # no nc in the image
TCP  137 exec_failed                                            # killed: nothing is known
TCP    1 exec_failed         nc: something nobody has seen      # an unknown text is not a verdict
TCP    2 exec_failed                                            # an unknown status is not a verdict
UDP    1 exec_failed                                            # udp, nothing said
UDP    1 skipped             unsupported                        # an nc that cannot be used for udp
SCTP   1 skipped             unsupported                        # sctp
"""
"""Protocol, status, outcome, and what nc printed, up to the comment."""


def test_status_first_text_second() -> None:
    rows = [line.partition(" #")[0].split(maxsplit=3) for line in SAID.splitlines() if line[0] != "#"]
    assert len(rows) == 37, "none is lost"
    wrong = []
    for protocol, status, outcome, *text in rows:
        said = text[0].rstrip() if text else ""
        found = netcat.outcome_of(Protocol(protocol), int(status), said)
        if found is not Outcome[outcome.upper()]:
            wrong.append((protocol, status, said, found))
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("begin busybox fine", FirstLine("busybox", True)),
        ("begin openbsd coarse", FirstLine("openbsd", False)),
        (
            "7 0 1000 3500 10.0.0.1 (10.0.0.1:80) open\r",
            AnswerLine(7, 0, 2500, "10.0.0.1 (10.0.0.1:80) open"),
        ),
        ("7 1 1000 3500", AnswerLine(7, 1, 2500, "")),
        ("end 12", LastLine(12)),
        ("7 0 1000", None),
        ("7 0", None),
        ("sh: nc: not found", None),
        ("", None),
        ("-7 0 1000 3500 open", None),
    ],
)
def test_lines_of_the_output(line: str, meaning: object) -> None:
    assert netcat.read(f"{netcat.TOKEN} {line}") == meaning
    assert netcat.read(line) is None, "not without the token"
    assert netcat.read(f"{netcat.TOKEN[::-1]} {line}") is None


def test_a_latency_needs_a_connection_and_a_clock() -> None:
    said = AnswerLine(1, 0, 2500, "open")
    assert netcat.answer(TCP, said, fine_clock=True) == Answer(Outcome.CONNECTED, 2.5, "open", took_s=0.0025)
    assert netcat.answer(TCP, said, fine_clock=False).latency_ms is None
    assert netcat.answer(TCP, AnswerLine(1, 0, -5, "open"), fine_clock=True).latency_ms is None, (
        "the clock was set"
    )
    assert netcat.answer(TCP, AnswerLine(1, 1, 2500, ""), fine_clock=True).latency_ms is None


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "fd00::1", "fe80::1%eth0", "web.shop.svc.cluster.local", "under_score"]
)
def test_hosts_that_are_passed_on(host: str) -> None:
    assert netcat.line(3, Target(host, 80, UDP)) == f"3 UDP {host} 80\n"


@pytest.mark.parametrize("host", ["", "-h", "a b", "$(id)", "a;b", "a\nb", "`id`", "10.0.0.1\\"])
def test_hosts_that_could_be_anything_else_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor a DNS name"):
        Target(host, 80)


@pytest.mark.parametrize(("wait_s", "arguments"), [(0.5, ["1", "0.5"]), (1, ["1", "1"]), (1.2, ["2", "1.2"])])
def test_waits_in_whole_seconds_are_rounded_up(wait_s: float, arguments: list[str]) -> None:
    assert netcat.command(Pace(wait_s=wait_s))[-2:] == arguments


def test_the_command_fits_into_a_request_line() -> None:
    from urllib.parse import quote

    assert len(quote("".join(netcat.command(Pace())))) < 7000, "aiohttp's server refuses 8190 bytes and more"
