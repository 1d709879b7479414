"""SPDY/3.1, as far as exec and port-forward use it: the frames, and the connection of a client that upgrades.

A frame is eight bytes and its payload: a control frame (the first bit is set) has version, type,
flags and a length of 24 bits, a data frame its stream's number, flags and length. Headers are a block of
names and values, each after its length in four bytes, compressed with a dictionary. Each direction has one
zlib stream for the whole connection.

Source: draft-mbelshe-httpbis-spdy-00, sections 2.2 and 2.6; flow control (2.6.8) is not used by the peers.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from aiohttp import hdrs, web
from aiohttp.http import WebSocketReader

from netprobe.lab.api.status import ApiError

SPDY: Final = "SPDY/3.1"
_PROTOCOL: Final = "X-Stream-Protocol-Version"
_CHUNK: Final = 32 * 1024

_VERSION: Final = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_FIN: Final = 1
_REFUSED_STREAM: Final = 3
_LARGEST_FRAME: Final = 4 << 20  # as of a message of a websocket
_LARGEST_HEADERS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer has opened a stream."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The peer sends no more on the stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Reset:
    """The peer has aborted the stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes that must be sent to the peer."""

    data: bytes


StreamEvent: TypeAlias = Opened | Data | Finished | Reset
Event: TypeAlias = StreamEvent | Answer


class Connection:
    """One connection: turns the peer's bytes into events."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._inflate = zlib.decompressobj(zdict=_DICTIONARY)
        self._deflate = zlib.compressobj(zdict=_DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events of all complete frames; ValueError if they are not SPDY."""
        self._received += data
        while len(self._received) >= 8:
            length = int.from_bytes(self._received[5:8])
            if length > _LARGEST_FRAME:
                raise ValueError("too long a frame")
            if len(self._received) < 8 + length:
                return
            head, payload = bytes(self._received[:8]), bytes(self._received[8 : 8 + length])
            del self._received[: 8 + length]
            yield from self._frame(head, payload)

    def _frame(self, head: bytes, payload: bytes) -> Iterator[Event]:
        flags, stream = head[4], int.from_bytes((head if head[0] < 0x80 else payload)[:4]) & 0x7FFFFFFF
        if head[0] < 0x80:
            if payload:
                yield Data(stream, payload)
        else:
            if int.from_bytes(head[:2]) & 0x7FFF != _VERSION:
                raise ValueError("not SPDY/3")
            match int.from_bytes(head[2:4]):
                case t if t == _SYN_STREAM:
                    yield Opened(stream, self._headers(payload[10:]))
                case t if t == _RST_STREAM:
                    yield Reset(stream)
                case t if t == _PING:
                    yield Answer(_control(_PING, payload[:4]))
                case t if t in {_SYN_REPLY, _HEADERS}:
                    self._headers(payload[4:])  # to keep the decompressor in step
                case _:  # settings, windows, going away
                    return
        if flags & _FIN:
            yield Finished(stream)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, _LARGEST_HEADERS)
        except zlib.error as error:
            raise ValueError("unreadable headers") from error
        words: list[str] = []
        at = 4
        for _ in range(2 * int.from_bytes(plain[:4])):
            length = int.from_bytes(plain[at : at + 4])
            words.append(plain[at + 4 : at + 4 + length].decode("latin-1"))
            at += 4 + length
            if at > len(plain):
                raise ValueError("cut headers")
        return dict(zip(words[::2], words[1::2], strict=True))

    def accept(self, stream: int) -> bytes:
        """The reply to a new stream: no headers."""
        block = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(_SYN_REPLY, stream.to_bytes(4) + block)


def data(stream: int, content: bytes, *, last: bool = False) -> bytes:
    return stream.to_bytes(4) + bytes([_FIN if last else 0]) + len(content).to_bytes(3) + content


def _control(kind: int, payload: bytes) -> bytes:
    return (0x8000 | _VERSION).to_bytes(2) + kind.to_bytes(2) + b"\0" + len(payload).to_bytes(3) + payload


class Peer:
    """A client that has switched to SPDY; a request's handler returns `response` in the end."""

    def __init__(self, response: web.StreamResponse, received: asyncio.StreamReader) -> None:
        self.response = response
        self._received = received
        self._connection = Connection()

    async def events(self) -> AsyncIterator[StreamEvent]:
        """What the client does with its streams, until it leaves, or sends what is not SPDY."""
        while content := await self._received.read(_CHUNK):
            try:
                events = list(self._connection.feed(content))
            except ValueError:
                return
            for event in events:
                if isinstance(event, Answer):
                    await self.response.write(event.data)
                else:
                    yield event

    async def accept(self, stream: int) -> None:
        await self.response.write(self._connection.accept(stream))

    async def refuse(self, stream: int) -> None:
        await self.response.write(_control(_RST_STREAM, stream.to_bytes(4) + _REFUSED_STREAM.to_bytes(4)))

    async def send(self, stream: int, content: bytes = b"", *, last: bool = False) -> None:
        await self.response.write(data(stream, content, last=last))


async def upgrade(request: web.BaseRequest, protocol: str) -> Peer:
    """Switch from HTTP to SPDY; ApiError 403 if the client does not offer the protocol of streams."""
    offered = ",".join(request.headers.getall(_PROTOCOL, [])).replace(" ", "").split(",")
    if protocol not in offered:
        text = f"unable to upgrade: client supports {offered}, server accepts [{protocol}]"
        raise ApiError(403, "Forbidden", text)
    headers = {hdrs.CONNECTION: "Upgrade", hdrs.UPGRADE: SPDY, _PROTOCOL: protocol}
    response = web.StreamResponse(status=101, headers=headers)
    response.force_close()
    received = asyncio.StreamReader()
    if request.transport is not None:
        received.set_transport(request.transport)  # it makes the client pause when data is not consumed
    request.protocol.set_parser(cast("WebSocketReader", _Received(received)))
    await response.prepare(request)
    return Peer(response, received)


class _Received:
    """Takes the bytes after the upgrade from aiohttp, in the place of its parser for websockets."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, content: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(content)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


# 2.6.10.1: names and values, each with its length before it, and then text without.
_WORDS: Final = (
    *("options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding"),
    *("accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection"),
    *("content-base", "content-encoding", "content-language", "content-length", "content-location"),
    *("content-md5", "content-range", "content-type", "date", "etag", "expect", "expires", "from", "host"),
    *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified"),
    *("location", "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer"),
    *("retry-after", "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via"),
    *("warning", "www-authenticate", "method", "get", "status", "200 OK", "version", "HTTP/1.1", "url"),
    *("public", "set-cookie", "keep-alive", "origin"),
)
_TEXT: Final = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 "
    "Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 "
    "Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar "
    "Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,"
    "image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public"
    "privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
_DICTIONARY: Final = b"".join(len(word).to_bytes(4) + word.encode() for word in _WORDS) + _TEXT.encode()
