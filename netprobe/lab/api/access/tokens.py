"""Tokens of ServiceAccounts: made by TokenRequest, which `kubectl create token` sends, and read again.

A token is a JSON Web Token (RFC 7519) with the claims of a real server's, signed by a key that lives and dies
with the lab (HS256: who verifies is who signed). It holds as long as its time, its ServiceAccount, and the
object that it may be bound to.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from netprobe.lab.api.access.user import AUTHENTICATED, User, account_groups, account_name
from netprobe.lab.api.admission.names import invalid as wrong
from netprobe.lab.api.admission.names import unsupported
from netprobe.lab.api.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, Resource
from netprobe.lab.api.status import Cause, conflict, invalid, not_found
from netprobe.lab.api.store import Key, Store
from netprobe.lab.clock import Clock
from netprobe.model.objects import Object

AUDIENCE = "https://kubernetes.default.svc.cluster.local"
_SHORTEST_S, _LONGEST_S, _USUAL_S = 600, 2**32, 3600
_BINDABLE = {"Node": NODES, "Pod": PODS, "Secret": SECRETS}
_REQUESTS = Resource("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")
_HEADER = {"alg": "HS256", "typ": "JWT"}


class Tokens:
    """Makes tokens, and knows whose they are."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def issue(self, account: Object, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a TokenRequest for a ServiceAccount; ApiError 404, 409 or 422 where there is none."""
        metadata, spec = account["metadata"], request.get("spec") or {}
        seconds = spec.get("expirationSeconds", _USUAL_S)
        if problems := list(_problems(seconds, spec.get("boundObjectRef"))):
            raise invalid(_REQUESTS, "", problems)
        at = self._clock.now()
        expires = at + timedelta(seconds=seconds)
        audiences = spec.get("audiences") or [AUDIENCE]
        claims = self._claims(account, audiences) | {"exp": int(expires.timestamp())}
        if bound := spec.get("boundObjectRef"):
            claims["kubernetes.io"][bound["kind"].lower()] = self._bound(bound, metadata["namespace"])
        stamp = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "creationTimestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound or None},
            "status": {"token": self._sign(claims), "expirationTimestamp": stamp},
        }

    def lasting(self, account: Object, secret: Object) -> str:
        """A token that holds as long as the Secret that it is kept in."""
        claims = self._claims(account, [AUDIENCE])
        claims["kubernetes.io"]["secret"] = {key: secret["metadata"][key] for key in ("name", "uid")}
        return self._sign(claims)

    def _claims(self, account: Object, audiences: list[str]) -> dict[str, Any]:
        metadata, at = account["metadata"], int(self._clock.now().timestamp())
        return {
            "aud": audiences,
            "iat": at,
            "iss": AUDIENCE,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {
                "namespace": metadata["namespace"],
                "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
            },
            "nbf": at,
            "sub": account_name(metadata["namespace"], metadata["name"]),
        }

    def user(self, token: str) -> User | None:
        """Whose it is; None where it is not one of these, or holds no longer."""
        claims = self._verified(token)
        if claims is None or AUDIENCE not in claims["aud"]:
            return None
        if "exp" in claims and claims["exp"] <= self._clock.now().timestamp():
            return None
        inside = claims["kubernetes.io"]
        namespace, account = inside["namespace"], inside["serviceaccount"]
        if not self._is_there("ServiceAccount", namespace, account):
            return None
        if not all(self._is_there(kind, namespace, inside.get(kind.lower())) for kind in _BINDABLE):
            return None
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        groups = (*account_groups(namespace), AUTHENTICATED)
        return User(account_name(namespace, account["name"]), groups, account["uid"], extra)

    def _bound(self, ref: Mapping[str, str], namespace: str) -> dict[str, str]:
        """The object whose end ends the token."""
        resource = _BINDABLE[ref["kind"]]
        stored = self._store.get(resource, Key(namespace if resource.namespaced else "", ref.get("name", "")))
        if stored is None:
            raise not_found(resource, ref.get("name", ""))
        uid: str = stored.object["metadata"]["uid"]
        if ref.get("uid") and ref["uid"] != uid:
            theirs = f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record"
            raise conflict(
                resource, ref["name"], f"{theirs}. The object might have been deleted and then recreated"
            )
        return {"name": ref["name"], "uid": uid}

    def _is_there(self, kind: str, namespace: str, ref: Mapping[str, str] | None) -> bool:
        """Is what a token depends on the same as it was? What it does not depend on is."""
        if ref is None:
            return True
        resource = _BINDABLE.get(kind, SERVICE_ACCOUNTS)
        stored = self._store.get(resource, Key(namespace if resource.namespaced else "", ref["name"]))
        return stored is not None and stored.object["metadata"]["uid"] == ref["uid"]

    def _sign(self, claims: Mapping[str, Any]) -> str:
        text = b".".join(
            _encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (_HEADER, claims)
        )
        return (text + b"." + self._signature(text)).decode()

    def _signature(self, text: bytes) -> bytes:
        return _encoded(hmac.digest(self._key, text, hashlib.sha256))

    def _verified(self, token: str) -> dict[str, Any] | None:
        text, _, signature = token.encode(errors="surrogateescape").rpartition(b".")
        if not hmac.compare_digest(self._signature(text), signature):
            return None
        part = text.partition(b".")[2]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
        return claims


def _problems(seconds: int, bound: Mapping[str, str] | None) -> list[Cause]:
    """pkg/apis/authentication/validation; what may be bound: pkg/registry/core/serviceaccount/storage."""
    found = []
    if seconds < _SHORTEST_S:
        found.append(
            wrong("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        )
    if seconds > _LONGEST_S:
        found.append(
            wrong("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        )
    if bound and bound.get("kind") not in _BINDABLE:
        found.append(unsupported("spec.boundObjectRef.kind", bound.get("kind", ""), tuple(_BINDABLE)))
    return found


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
