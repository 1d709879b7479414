"""What the two netcats say, as they really said it, and what each line means."""

from __future__ import annotations

import pytest

from netprobe.model.flow import Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import netcat
from netprobe.probe.netcat import Answer, Begin, End, Result, Target
from netprobe.probe.pace import Pace

TCP, UDP = Protocol.TCP, Protocol.UDP
param, O = pytest.param, Outcome  # noqa: E741

BUSYBOX = [  # BusyBox 1.35 in a pod; -vv where the text is longer than with -v
    param(TCP, 0, "10.244.2.2 (10.244.2.2:80) open sent 0, rcvd 0", O.CONNECTED, id="open"),
    param(TCP, 0, "::1 ([::1]:80) open", O.CONNECTED, id="open over v6"),
    param(TCP, 1, "nc: 10.244.2.2 (10.244.2.2:81): Connection refused sent 0, rcvd 0", O.REFUSED, id="-vv"),
    param(TCP, 1, "", O.REFUSED, id="refused with a single -v: no text at all"),
    param(TCP, 1, "nc: 10.11.12.13 (10.11.12.13:54): Operation timed out", O.TIMED_OUT, id="dropped"),
    param(TCP, 1, "nc: fd00::1 ([fd00::1]:80): Network unreachable", O.NETWORK_UNREACHABLE, id="no route"),
    param(TCP, 1, "nc: 10.0.0.9 (10.0.0.9:80): No route to host", O.HOST_UNREACHABLE, id="admin-prohibited"),
    param(TCP, 1, "nc: 10.0.0.9 (10.0.0.9:80): Host is unreachable", O.HOST_UNREACHABLE, id="musl's word"),
    param(TCP, 1, "nc: bad address 'nosuch.example'", O.NO_SUCH_NAME, id="name"),
    param(
        TCP,
        1,
        "nc: socket(AF_INET6,1,0): Address family not supported by protocol",
        O.NETWORK_UNREACHABLE,
        id="a pod without v6",
    ),
    param(UDP, 0, "10.244.2.2 (10.244.2.2:53) open answered", O.CONNECTED, id="udp reply"),
    param(UDP, 0, "10.244.2.2 (10.244.2.2:53) open silent", O.TIMED_OUT, id="udp 'open' is no answer"),
    param(UDP, 0, "10.244.2.2 (10.244.2.2:53) open refused", O.REFUSED, id="udp port unreachable"),
    param(UDP, 0, "10.244.2.2 (10.244.2.2:53) open", O.EXEC_FAILED, id="udp without a word of ours"),
    param(UDP, 1, "nc: bad address 'nosuch.example'", O.NO_SUCH_NAME, id="udp name"),
    param(UDP, 1, "nc: fd00::1 ([fd00::1]:8): Network unreachable", O.NETWORK_UNREACHABLE, id="udp route"),
]

OPENBSD = [  # Debian's netcat-openbsd 1.219
    param(TCP, 0, "Connection to 127.0.0.1 80 port [tcp/http] succeeded!", O.CONNECTED, id="open"),
    param(
        TCP, 1, "nc: connect to 127.0.0.1 port 81 (tcp) failed: Connection refused", O.REFUSED, id="refused"
    ),
    param(
        TCP,
        1,
        "nc: connect to 10.1.1.1 port 3 (tcp) timed out: Operation now in progress",
        O.TIMED_OUT,
        id="dropped",
    ),
    param(
        TCP,
        1,
        "nc: connect to 10.1.1.1 port 3 (tcp) failed: Network is unreachable",
        O.NETWORK_UNREACHABLE,
        id="no route",
    ),
    param(
        TCP,
        1,
        "nc: connect to 10.1.1.1 port 3 (tcp) failed: No route to host",
        O.HOST_UNREACHABLE,
        id="admin-prohibited",
    ),
    param(
        TCP,
        1,
        'nc: getaddrinfo for host "nosuch.example" port 80: Name or service not known',
        O.NO_SUCH_NAME,
        id="name",
    ),
    param(
        TCP,
        1,
        'nc: getaddrinfo for host "nosuch.example" port 4: Temporary failure in name resolution',
        O.NO_SUCH_NAME,
        id="no resolver",
    ),
    param(TCP, 124, "", O.TIMED_OUT, id="ended by timeout"),
    param(TCP, 124, "nc:", O.TIMED_OUT, id="ended by timeout in the middle of a word"),
    param(
        TCP,
        124,
        "nc: connect to 10.1.1.1 port 3 (tcp) failed: Connection refused",
        O.REFUSED,
        id="ended by timeout when all was said",
    ),
    param(UDP, 0, "answered", O.CONNECTED, id="udp reply"),
    param(UDP, 1, "silent", O.TIMED_OUT, id="udp silence"),
    param(UDP, 1, "refused", O.REFUSED, id="udp port unreachable"),
    param(
        UDP,
        1,
        "nc: connect to 10.1.1.1 port 5 (udp) failed: Network is unreachable",
        O.NETWORK_UNREACHABLE,
        id="udp route",
    ),
]

ODD = [
    param(TCP, 127, "sh: nc: not found", O.EXEC_FAILED, id="no nc in the image"),
    param(TCP, 137, "", O.EXEC_FAILED, id="killed: nothing is known"),
    param(TCP, 1, "nc: something nobody has seen", O.EXEC_FAILED, id="an unknown text is not a verdict"),
    param(TCP, 2, "", O.EXEC_FAILED, id="an unknown status is not a verdict"),
    param(UDP, 1, "", O.EXEC_FAILED, id="udp, nothing said"),
    param(UDP, 1, "unsupported", O.SKIPPED, id="an nc that cannot be used for udp"),
    param(Protocol.SCTP, 1, "unsupported", O.SKIPPED, id="sctp"),
]


@pytest.mark.parametrize(("protocol", "status", "text", "outcome"), [*BUSYBOX, *OPENBSD, *ODD])
def test_status_first_text_second(protocol: Protocol, status: int, text: str, outcome: Outcome) -> None:
    assert netcat.outcome_of(protocol, status, text) is outcome


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("netprobe-begin busybox fine", Begin("busybox", True)),
        ("netprobe-begin openbsd coarse", Begin("openbsd", False)),
        ("7 0 1000 3500 10.0.0.1 (10.0.0.1:80) open\r", Result(7, 0, 2500, "10.0.0.1 (10.0.0.1:80) open")),
        ("7 1 1000 3500", Result(7, 1, 2500, "")),
        ("netprobe-end 12", End(12)),
        ("7 0 1000", None),
        ("7 0", None),
        ("sh: nc: not found", None),
        ("", None),
        ("-7 0 1000 3500 open", None),
    ],
)
def test_lines_of_the_output(line: str, meaning: object) -> None:
    assert netcat.read(line) == meaning


def test_a_latency_needs_a_connection_and_a_clock() -> None:
    said = Result(1, 0, 2500, "open")
    assert netcat.answer(TCP, said, fine_clock=True) == Answer(Outcome.CONNECTED, 2.5, "open")
    assert netcat.answer(TCP, said, fine_clock=False).latency_ms is None
    assert netcat.answer(TCP, Result(1, 0, -5, "open"), fine_clock=True).latency_ms is None, (
        "the clock was set"
    )
    assert netcat.answer(TCP, Result(1, 1, 2500, ""), fine_clock=True).latency_ms is None


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
