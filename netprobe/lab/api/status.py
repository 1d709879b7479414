"""Failures as the API server reports them: one exception, and a constructor for each kind of refusal.

The shapes (reason, details, causes) are those of apimachinery's pkg/api/errors; clients switch on `reason`,
kubectl prints `message`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netprobe.lab.api.resources import Resource
from netprobe.policies.fields import FieldError


class ApiError(Exception):
    """A refusal: HTTP status, reason, a sentence, and the object that it is about."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        resource: Resource | None = None,
        name: str = "",
        causes: Sequence[FieldError] = (),
        kind: str = "",
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.resource = resource
        self.name = name
        self.causes = tuple(causes)
        self.kind = kind
        self.retry_after_s = retry_after_s

    def status(self) -> dict[str, Any]:
        """The Status object that goes to the client."""
        details: dict[str, Any] = {}
        if self.name:
            details["name"] = self.name
        if self.resource is not None:
            if self.resource.group:
                details["group"] = self.resource.group
            details["kind"] = self.kind or self.resource.plural
        if self.causes:
            details["causes"] = [
                {"reason": c.type, "message": c.message, **({"field": c.path} if c.path else {})}
                for c in self.causes
            ]
        if self.retry_after_s:
            details["retryAfterSeconds"] = self.retry_after_s
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": details} if details else {}),
            "code": self.code,
        }


def success(resource: Resource, name: str, uid: str) -> dict[str, Any]:
    """What a deletion answers when the object is gone at once."""
    group = {"group": resource.group} if resource.group else {}
    details = {"name": name, **group, "kind": resource.plural, "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', resource=resource, name=name)


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> ApiError:
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def already_exists(resource: Resource, name: str) -> ApiError:
    text = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, resource=resource, name=name)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> ApiError:
    text = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", text, resource=resource, name=name)


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[FieldError] = ()) -> ApiError:
    named = f'"{name}" ' if name else ""
    text = f"{resource.qualified} {named}is forbidden: {why}"
    return ApiError(403, "Forbidden", text, resource=resource, name=name, causes=causes)


def invalid(resource: Resource, name: str, causes: Iterable[FieldError]) -> ApiError:
    """Everything that is wrong with an object, at once."""
    found = tuple(causes)
    texts = [str(error) for error in found]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    text = f'{kind} "{name}" is invalid: {listed}'
    return ApiError(422, "Invalid", text, resource=resource, name=name, causes=found, kind=resource.kind)


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")
