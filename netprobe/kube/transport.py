"""HTTP requests to the API server: paced, retried if that is safe, with credentials renewed.

What may be repeated is decided here and nowhere else:

    429, 503, no connection    the server did nothing: any request is repeated
    500, 502, 504, a broken connection, no answer or one that is cut off
                               may have had an effect: only requests that may be sent twice are repeated
    an exec that did not open  opened again: probes may be started twice

Requests that may be sent twice: get, list, delete, merge patch, reviews, and an update of a known version,
which conflicts the second time. After a failed create, client.py looks whether the object is there.
A server that never answered is not waited for: it may be the wrong one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import aiohttp
import tenacity
from kubernetes.aio.stream import WsApiClient

from netprobe.errors import ClusterError, ForbiddenError, NotFoundError
from netprobe.kube import errors
from netprobe.model.objects import Object

T = TypeVar("T")

CONNECT_S: Final = 10.0
"""How long a TCP connection to the server may take."""


TRIES: Final = 6
RECONNECT_S: Final = 10.0
"""How long a server that has answered before is tried again if there is no connection to it."""


def _wait(state: tenacity.RetryCallState) -> float:
    """As long as the server asks for (at most 30 s), else 0.2 s, doubled each time up to 5 s."""
    error = state.outcome.exception() if state.outcome else None
    wanted = error.retry_after_s if isinstance(error, errors.ApiStatusError) else None
    return min(30.0, wanted) if wanted is not None else min(5.0, 0.1 * 2.0**state.attempt_number)


def _stop(tries: int) -> Callable[[tenacity.RetryCallState], bool]:
    def enough(state: tenacity.RetryCallState) -> bool:
        match state.outcome.exception() if state.outcome else None:
            case errors.NoConnectionError():
                return state.idle_for >= RECONNECT_S
            case errors.NoAnswerError():  # each try takes all of the request timeout
                return state.attempt_number >= 2
        return state.attempt_number >= tries

    return enough


def _did_not_start(error: BaseException) -> bool:
    return isinstance(error, ClusterError) and not isinstance(error, NotFoundError | ForbiddenError)


REQUESTS: Final = tenacity.AsyncRetrying(wait=_wait, stop=_stop(TRIES), reraise=True)
EXECS: Final = REQUESTS.copy(retry=tenacity.retry_if_exception(_did_not_start))


class RateLimit:
    """`await limit.turn()` returns at once `burst` times, then `per_s` times a second, in order."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._gap_s = 1 / per_s
        self._slack_s = self._gap_s * (burst - 1)
        self._next = float("-inf")  # when the next token of an empty bucket is due, less the burst

    def reserve(self, now: float) -> float:
        """Take a token; the seconds to wait for it. Generic cell rate algorithm (ITU-T I.371)."""
        due = max(self._next, now)
        self._next = due + self._gap_s
        return max(0.0, due - self._slack_s - now)

    async def turn(self) -> None:
        wait_s = self.reserve(asyncio.get_running_loop().time())
        if wait_s > 0:
            await asyncio.sleep(wait_s)


@dataclass(frozen=True, slots=True)
class Request:
    """`what` describes it in errors, as "create pods in x". None in the query: no such parameter."""

    method: str
    path: str
    what: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Object | None = None


@dataclass(slots=True, kw_only=True)
class Transport:
    """Sends requests to one API server.

    `reload` renews the credentials (an expired token of an exec plugin): called once for each 401.
    `answered_at`: when the server last answered anything, by the loop's clock.
    """

    client: WsApiClient
    timeout_s: float
    limit: RateLimit
    reload: Callable[[], Awaitable[None]]
    answered_at: float = 0.0

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self.client.configuration.host)

    async def json(self, request: Request, *, twice: bool | None = None, tries: int = TRIES) -> Object:
        """Send a request and read the object in the answer. ClusterError.

        `twice`: it may be sent twice; None: if its method says so.
        """

        async def once() -> Object:
            async with self.response(request) as response:
                with errors.wire_errors(request.what, self.server):
                    text = await response.text()
            return self.parse(text, request.what)

        safe = request.method in {"GET", "DELETE", "PATCH"} if twice is None else twice
        return await self.repeated(once, twice=safe, tries=tries)

    async def repeated(self, send: Callable[[], Awaitable[T]], *, twice: bool, tries: int = TRIES) -> T:
        """Await `send()` until it succeeds, as often as is safe and useful."""

        def again(error: BaseException) -> bool:
            match error:
                case errors.ApiStatusError():
                    return twice or error.did_nothing
                case errors.NoConnectionError():
                    return bool(self.answered_at)
                case errors.NoAnswerError():
                    return twice and bool(self.answered_at)
                case errors.BrokenConnectionError() | errors.CutAnswerError():
                    return twice
            return False

        result: T = await REQUESTS.copy(retry=tenacity.retry_if_exception(again), stop=_stop(tries))(send)
        return result

    def parse(self, text: str | bytes, what: str) -> Object:
        """The JSON object in an answer. CutAnswerError, or ClusterError if it is something else."""
        try:
            answer = json.loads(text)
        except ValueError as e:
            if not text.strip() or text.lstrip()[:1] in {"{", b"{"}:
                raise errors.CutAnswerError(what) from e
            raise ClusterError(
                f"cannot {what}: {self.server} answers, but not in JSON: is it an API server?"
            ) from e
        if not isinstance(answer, dict):
            raise ClusterError(f"cannot {what}: the answer is not an object")
        return answer

    @asynccontextmanager
    async def response(
        self, request: Request, timeout_s: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One response with a status of success; any other status is raised. Not retried."""
        timeout = aiohttp.ClientTimeout(total=timeout_s or self.timeout_s, sock_connect=CONNECT_S)
        response = await self.renewed(lambda: self._send(request, timeout))
        try:
            yield response
        finally:
            response.release()

    async def renewed(self, send: Callable[[], Awaitable[T]]) -> T:
        """Send a request; if the server does not accept the credentials, again with renewed ones."""
        try:
            return await send()
        except errors.UnauthorizedError:
            await self.reload()
            return await send()

    async def _send(self, request: Request, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        await self.limit.turn()
        headers = {"Accept": "application/json"}
        if request.method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        _, url, headers, body, _ = await self.client.param_serialize(
            request.method,
            request.path,
            query_params=[(key, value) for key, value in request.query.items() if value is not None],
            header_params=headers,
            body=request.body,
            auth_settings=["BearerToken"],
        )
        with errors.wire_errors(request.what, self.server):
            answer = await self.client.rest_client.request(
                request.method, url, headers=headers, body=body, _request_timeout=timeout
            )
        self.answered_at = asyncio.get_running_loop().time()
        response: aiohttp.ClientResponse = answer.response
        if response.status < 400:
            return response
        try:
            with errors.wire_errors(request.what, self.server):
                text = await response.text()
        finally:
            response.release()
        raise errors.from_status(response.status, text, what=request.what, headers=response.headers)
