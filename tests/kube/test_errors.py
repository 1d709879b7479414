"""Each way in which an API server says no, and the sentence that it becomes."""

from __future__ import annotations

import json

import pytest

from netprobe.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError
from netprobe.kube import errors
from netprobe.kube.errors import ApiStatusError, UnauthorizedError


def body(message: str) -> str:
    return json.dumps({"kind": "Status", "message": message})


CASES = [
    (401, body("Unauthorized"), UnauthorizedError, "does not accept the credentials; they may have expired"),
    (
        403,
        body('pods is forbidden: User "u" cannot create resource "pods" in the namespace "x"'),
        ForbiddenError,
        'the permission is missing (pods is forbidden: User "u" cannot create resource "pods"',
    ),
    (
        403,
        body('pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        ForbiddenError,
        "Pod Security forbids it: ",
    ),
    (403, body("exceeded quota: q, requested: pods=1"), ForbiddenError, "a ResourceQuota forbids"),
    (403, body('pods "a" is forbidden: failed quota: q: must specify x'), ForbiddenError, "a ResourceQuota"),
    (403, body("maximum cpu usage per Container is 500m, but limit is 1"), ForbiddenError, "a LimitRange"),
    (403, body("cpu max limit to request ratio per Container is 4"), ForbiddenError, "a LimitRange forbids"),
    (403, body('admission webhook "w" denied the request: no'), ForbiddenError, "an admission webhook forb"),
    (400, body('admission webhook "w" denied the request: no'), ForbiddenError, "an admission webhook forb"),
    (422, body("ValidatingAdmissionPolicy 'p' denied request: no"), ForbiddenError, "an admission policy"),
    (403, body('pods "a" is forbidden: error looking up service account'), ForbiddenError, "the cluster"),
    (404, body('namespaces "x" not found'), NotFoundError, 'namespaces "x" not found'),
    (409, body('namespaces "x" already exists'), ConflictError, "already exists"),
    (422, body("spec.ingress: Invalid value"), ClusterError, "calls it invalid: spec.ingress: Invalid value"),
    (400, body("unknown field"), ClusterError, "calls it invalid: unknown field"),
    (429, body("slow down"), ApiStatusError, "asks for fewer requests: slow down"),
    (500, "<html><body>Internal <b>error</b></body></html>", ApiStatusError, "it failed: Internal error"),
    (503, "", ApiStatusError, "it failed: no message"),
    (418, "{", ClusterError, "answered 418: {"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "text", "kind", "sentence"), CASES)
def test_statuses(status: int, text: str, kind: type[ClusterError], sentence: str) -> None:
    error = errors.from_status(status, text, what="create pods/a in x")
    assert type(error) is kind
    assert str(error).startswith("cannot create pods/a in x: ")
    assert sentence in str(error)


def test_when_to_try_again() -> None:
    for header, seconds in {"2": 2.0, "-1": 0.0, "Wed, 21 Oct 2026 07:28:00 GMT": None, "": None}.items():
        error = errors.from_status(429, "", what="x", headers={"Retry-After": header})
        assert isinstance(error, ApiStatusError)
        assert error.retry_after_s == seconds
