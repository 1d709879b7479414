"""Where the client library's errors stop: each becomes one sentence that says what to do.

No token, certificate or content of a kubeconfig is ever put into a sentence.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from netprobe.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError, UnreachableError

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class ApiStatusError(ClusterError):
    """An answer that is worth another try; `retry_after_s` where the server says when."""

    def __init__(self, message: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class UnauthorizedError(ForbiddenError):
    """The credentials are not accepted; new ones may be."""


def from_status(
    status: int, body: str, *, what: str, headers: Mapping[str, str] | None = None
) -> ClusterError:
    """The error for an HTTP status and the body, usually a `Status` object; `what` as "create pods in x"."""
    said = _message(body) or "no message"
    match status:
        case 429 | 500 | 502 | 503 | 504:
            reason = "it asks for fewer requests" if status == 429 else "it failed"
            text = f"cannot {what}: the API server answered {status}, {reason}: {said}"
            return ApiStatusError(text, status, _seconds((headers or {}).get("Retry-After")))
        case 401:
            return UnauthorizedError(
                f"cannot {what}: the cluster does not accept the credentials; they may have expired: "
                "log in again, or name another --context"
            )
        case 403:
            return ForbiddenError(f"cannot {what}: {_admission(said) or _forbidden(said)}")
        case 404:
            return NotFoundError(f"cannot {what}: {said}")
        case 409:
            return ConflictError(f"cannot {what}: {said}")
    told = _admission(said) if status in {400, 422} else None
    kind = ForbiddenError if told else ClusterError
    return kind(f"cannot {what}: {told or f'{_refusal(status)}: {said}'}")


def _refusal(status: int) -> str:
    return "the API server calls it invalid" if status in {400, 422} else f"the API server answered {status}"


_ADMISSION = (
    # what the API server's message has in it -> who said no
    ("violates PodSecurity", "Pod Security"),
    ("exceeded quota", "a ResourceQuota"),
    ("failed quota", "a ResourceQuota"),
    ("usage per Container is", "a LimitRange"),
    ("usage per Pod is", "a LimitRange"),
    ("limit to request ratio", "a LimitRange"),
    ("admission webhook", "an admission webhook"),
    ("ValidatingAdmissionPolicy", "an admission policy"),
)


def _admission(said: str) -> str | None:
    """Where it was not the credentials that were refused but the object: who refused it, and why."""
    return next((f"{who} forbids it: {said}" for words, who in _ADMISSION if words in said), None)


def _forbidden(said: str) -> str:
    if "cannot" in said or "no message" in said:  # 'User "x" cannot create resource ...'
        return f"the permission is missing ({said}); ask for it, or name another --context"
    return f"the cluster forbids it: {said}"


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
    """A request in words: "create pods in shop", "get pods/web in shop"."""
    verb = _VERBS.get(method, method.lower())
    if name is None:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    return f"{verb} {plural}{'/' + name if name else ''}{' in ' + namespace if namespace else ''}"


@contextmanager
def told(what: str, host: str) -> Iterator[None]:
    """Turn what goes wrong on the wire into UnreachableError or ClusterError; `host` is the server's URL."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as e:
        raise UnreachableError(
            f"cannot {what}: the certificate of {host} does not verify ({_brief(e.certificate_error)}); "
            "check certificate-authority in the kubeconfig"
        ) from e
    except (aiohttp.ClientConnectorSSLError, ssl.SSLError) as e:
        raise UnreachableError(f"cannot {what}: no TLS connection to {host}: {_brief(e)}") from e
    except aiohttp.ClientConnectorError as e:
        raise UnreachableError(
            f"cannot {what}: no connection to {host}: {_brief(e.os_error)}; is the cluster running, and is "
            "it the right --context?"
        ) from e
    except TimeoutError as e:
        raise UnreachableError(f"cannot {what}: no answer from {host} in time; see --request-timeout") from e
    except (aiohttp.ClientError, OSError) as e:
        raise UnreachableError(f"cannot {what}: the connection to {host} broke: {_brief(e)}") from e


def _brief(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "verify_message", None) or str(error)
    return " ".join(str(text).split())[:200] or type(error).__name__
