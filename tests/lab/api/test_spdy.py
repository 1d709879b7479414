"""SPDY's frames as bytes: what a client of them sends, made here by hand."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import pytest

from netprobe.lab.api import spdy
from netprobe.lab.api.spdy import Answer, Connection, Data, Event, Finished, Opened, Reset

DICTIONARY_ID = 0xE3C6A7C2  # its Adler-32, which zlib compares (draft-mbelshe-httpbis-spdy-00, 2.6.10.1)
PAIR = {"streamtype": "data", "port": "80", "requestid": "0"}


class Client:
    """The other end."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=spdy._DICTIONARY)

    def opens(self, stream: int, headers: Mapping[str, str], flags: int = 0) -> bytes:
        plain = len(headers).to_bytes(4)
        for word in (text for pair in headers.items() for text in pair):
            plain += len(word).to_bytes(4) + word.encode()
        block = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(1, stream.to_bytes(4) + bytes(6) + block, flags)


def control(kind: int, payload: bytes, flags: int = 0, version: int = 3) -> bytes:
    head = (0x8000 | version).to_bytes(2) + kind.to_bytes(2)
    return head + bytes([flags]) + len(payload).to_bytes(3) + payload


def events(sent: bytes) -> list[Event]:
    return list(Connection().feed(sent))


def test_the_dictionary_is_that_of_the_draft() -> None:
    assert zlib.adler32(spdy._DICTIONARY) == DICTIONARY_ID


def test_streams_data_and_ends() -> None:
    client = Client()
    sent = client.opens(1, {**PAIR, "streamtype": "error"}, flags=1) + client.opens(3, PAIR)
    sent += (
        spdy.data(3, b"hello") + spdy.data(3, b"", last=True) + control(3, bytes([0, 0, 0, 3, 0, 0, 0, 5]))
    )
    assert events(sent) == [
        Opened(1, {**PAIR, "streamtype": "error"}),
        Finished(1),
        Opened(3, PAIR),
        Data(3, b"hello"),
        Finished(3),
        Reset(3),
    ]


def test_frames_may_be_cut_anywhere() -> None:
    client = Client()
    sent = client.opens(1, PAIR) + spdy.data(1, b"hello", last=True)
    connection = Connection()
    seen = [event for at in range(len(sent)) for event in connection.feed(sent[at : at + 1])]
    assert seen == [Opened(1, PAIR), Data(1, b"hello"), Finished(1)]


def test_a_ping_comes_back_and_what_says_nothing_is_passed_over() -> None:
    ping = control(6, bytes([0, 0, 0, 7]))
    settings, goaway, window = control(4, bytes(4)), control(7, bytes(8)), control(9, bytes(8))
    assert events(settings + ping + goaway + window) == [Answer(ping)]


def test_a_reply_can_be_read_by_the_other_end() -> None:
    reply = Connection().accept(5)
    assert reply[:4] == bytes([0x80, 3, 0, 2])
    assert int.from_bytes(reply[8:12]) == 5
    assert zlib.decompressobj(zdict=spdy._DICTIONARY).decompress(reply[12:]) == bytes(4), "no headers"


@pytest.mark.parametrize(
    "sent",
    [
        control(1, bytes(10) + b"no zlib"),
        control(1, bytes(10), version=2),
    ],
)
def test_what_is_not_spdy_is_refused(sent: bytes) -> None:
    with pytest.raises(ValueError, match=r"not SPDY/3|unreadable headers"):
        events(sent)


def test_headers_that_promise_more_than_there_is() -> None:
    deflate = zlib.compressobj(zdict=spdy._DICTIONARY)
    block = deflate.compress((9).to_bytes(4)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(ValueError, match="cut headers"):
        events(control(1, bytes(10) + block))
