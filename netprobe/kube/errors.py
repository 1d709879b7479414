"""Where the client library's errors stop: each becomes one sentence that says what to do.

No sentence contains a token, a certificate or text of a kubeconfig.
"""

from __future__ import annotations

import errno
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from netprobe.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NetprobeError,
    NotFoundError,
    UnreachableError,
)

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class ApiStatusError(ClusterError):
    """The server is overloaded or failed; `retry_after_s` if it says when to try again."""

    def __init__(self, message: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def did_nothing(self) -> bool:
        """Whether the server refused the request before it could have an effect."""
        return self.status in {429, 503}


class LocalLimitError(NetprobeError):
    """This machine refuses something, so no request can help: not a ClusterError, which may be waited out."""


class NoConnectionError(UnreachableError):
    """There is no connection to the server: nothing was sent."""


class NoAnswerError(UnreachableError):
    """No answer within the request timeout: the request may have had an effect."""


class BrokenConnectionError(UnreachableError):
    """The connection broke before there was an answer: the request may have had an effect."""


class CutAnswerError(ClusterError):
    """The answer has no end: the request may have had an effect."""

    def __init__(self, what: str) -> None:
        super().__init__(f"cannot {what}: the API server's answer was cut off")


class ExpiredError(ClusterError):
    """The server has forgotten the version that a list or a watch was to continue from (410)."""


class UnauthorizedError(ForbiddenError):
    """The server does not accept the credentials; renewed ones may help."""


def from_status(
    status: int, body: str, *, what: str, headers: Mapping[str, str] | None = None
) -> ClusterError:
    """The error for an HTTP status and the body, usually a `Status` object; `what` as "create pods in x"."""
    message = _message(body) or "no message"
    match status:
        case 429 | 500 | 502 | 503 | 504:
            reason = "it asks for fewer requests" if status == 429 else "it failed"
            text = f"cannot {what}: the API server answered {status}, {reason}: {message}"
            return ApiStatusError(text, status, _seconds((headers or {}).get("Retry-After")))
        case 401:
            return UnauthorizedError(
                f"cannot {what}: the cluster does not accept the credentials; they may have expired: "
                "log in again, or name another --context"
            )
        case 403:
            return ForbiddenError(f"cannot {what}: {_admission(message) or _forbidden(message)}")
        case 404 | 409 | 410:
            kinds = {404: NotFoundError, 409: ConflictError, 410: ExpiredError}
            return kinds[status](f"cannot {what}: {message}")
    refused_by = _admission(message) if status in {400, 422} else None
    refused = ForbiddenError if refused_by else ClusterError
    return refused(f"cannot {what}: {refused_by or f'{_refusal(status)}: {message}'}")


def _refusal(status: int) -> str:
    return "the API server calls it invalid" if status in {400, 422} else f"the API server answered {status}"


_ADMISSION = (
    # words in the API server's message -> who refused
    ("violates PodSecurity", "Pod Security"),
    ("exceeded quota", "a ResourceQuota"),
    ("failed quota", "a ResourceQuota"),
    ("usage per Container is", "a LimitRange"),
    ("usage per Pod is", "a LimitRange"),
    ("limit to request ratio", "a LimitRange"),
    ("admission webhook", "an admission webhook"),
    ("ValidatingAdmissionPolicy", "an admission policy"),
)


def _admission(message: str) -> str | None:
    """Who refused an object, and why, if it was not for a missing permission."""
    return next((f"{who} forbids it: {message}" for words, who in _ADMISSION if words in message), None)


def _forbidden(message: str) -> str:
    if "cannot" in message or "no message" in message:  # 'User "x" cannot create resource ...'
        return f"the permission is missing ({message}); ask for it, or name another --context"
    return f"the cluster forbids it: {message}"


def _status(body: str) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _message(body: str) -> str:
    message = _status(body).get("message")
    if not isinstance(message, str):
        message = re.sub(r"<[^>]*>", " ", body)
    return " ".join(message.split())[:600]


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:  # an HTTP date: rare, and no reason to fail
        return None


def of_request(method: str, plural: str, namespace: str | None, name: str | None) -> str:
    """A description of a request: "create pods in shop", "get pods/web in shop"."""
    verb = _VERBS.get(method, method.lower())
    if name is None:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    return f"{verb} {plural}{'/' + name if name else ''}{' in ' + namespace if namespace else ''}"


@contextmanager
def wire_errors(what: str, host: str) -> Iterator[None]:
    """Turn what goes wrong on the wire into UnreachableError or ClusterError; `host` is the server's URL."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as e:
        raise NoConnectionError(
            f"cannot {what}: the certificate of {host} does not verify ({_brief(e.certificate_error)}); "
            "check certificate-authority in the kubeconfig"
        ) from e
    except (aiohttp.ClientConnectorSSLError, ssl.SSLError) as e:
        raise NoConnectionError(f"cannot {what}: no TLS connection to {host}: {_brief(e)}") from e
    except aiohttp.ClientConnectorError as e:
        if e.errno in {errno.EMFILE, errno.ENFILE}:
            raise LocalLimitError(
                f"cannot {what}: this process may open no more files: raise the limit (ulimit -n)"
            ) from e
        raise NoConnectionError(
            f"cannot {what}: no connection to {host}: {_brief(e.os_error)}; is the cluster running, and is "
            "it the right --context?"
        ) from e
    except aiohttp.ConnectionTimeoutError as e:
        raise NoConnectionError(f"cannot {what}: no connection to {host} in time") from e
    except TimeoutError as e:
        raise NoAnswerError(f"cannot {what}: no answer from {host} in time; see --request-timeout") from e
    except aiohttp.ClientPayloadError as e:
        raise CutAnswerError(what) from e
    except (aiohttp.ClientError, OSError) as e:
        raise BrokenConnectionError(f"cannot {what}: the connection to {host} broke: {_brief(e)}") from e


def _brief(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "verify_message", None) or str(error)
    return " ".join(str(text).split())[:200] or type(error).__name__
