"""ConfigMaps and Secrets: what they must hold, and what of them cannot change (pkg/apis/core/validation)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.admission.names import required
from netprobe.lab.api.status import Cause

ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 (a type)
ACCOUNT = "kubernetes.io/service-account.name"
_NEEDED = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_FIXED = "field is immutable when `immutable` is set"


def default_secret(secret: dict[str, Any]) -> None:
    """stringData is for writing only: it goes into data."""
    secret.setdefault("type", "Opaque")
    for key, text in secret.pop("stringData", {}).items():
        secret.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def check_secret(secret: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    data = secret.get("data") or {}
    for key in _NEEDED.get(secret["type"], ()):
        if key not in data:
            yield required(f"data[{key}]")
    annotations = secret["metadata"].get("annotations") or {}
    if secret["type"] == ACCOUNT_TOKEN and not annotations.get(ACCOUNT):
        yield required(f"metadata.annotations[{ACCOUNT}]")
    if old is not None and old["type"] != secret["type"]:
        yield Cause("type", f'Invalid value: "{secret["type"]}": field is immutable')
    yield from check_map(secret, old)


def check_map(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    """One that is marked immutable stays so, and as it is."""
    if old is None or not old.get("immutable"):
        return
    for key in ("immutable", "data", "binaryData"):
        if (old.get(key) or {}) != (obj.get(key) or {}):
            yield Cause(key, f"Forbidden: {_FIXED}", "FieldValueForbidden")
