"""Secrets of the type kubernetes.io/service-account-token: given a token that holds as long as they do.

The way from before TokenRequest, which manifests still use (pkg/controller/serviceaccount).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from netprobe.lab.api.access.tokens import Tokens
from netprobe.lab.api.admission.maps import ACCOUNT, ACCOUNT_TOKEN
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import SECRETS, SERVICE_ACCOUNTS
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers.base import Controller
from netprobe.model.objects import Object

_UID = "kubernetes.io/service-account.uid"


class AccountTokens(Controller[Key]):
    """Fills them in, and removes those whose ServiceAccount is gone."""

    def __init__(self, operations: Operations, tokens: Tokens, ca: str) -> None:
        super().__init__(operations)
        self._tokens = tokens
        self._ca = ca

    def concerned(self, change: Change) -> Iterable[Key]:
        if change.resource is SECRETS:
            return [change.key] if change.now.object.get("type") == ACCOUNT_TOKEN else []
        if change.resource is not SERVICE_ACCOUNTS:
            return []
        secrets = self.store.items(SECRETS, change.key.namespace)
        return [self.store.key(s.object) for s in secrets if _account_of(s.object) == change.key.name]

    async def reconcile(self, key: Key) -> float | None:
        stored = self.store.get(SECRETS, key)
        if stored is None or not (name := _account_of(stored.object)):
            return None
        secret = stored.object
        account = self.store.get(SERVICE_ACCOUNTS, Key(key.namespace, name))
        known = secret["metadata"]["annotations"].get(_UID)
        if account is None or known not in {None, account.object["metadata"]["uid"]}:
            deletion = Deletion(uid=secret["metadata"]["uid"])
            self.operations.delete(SECRETS, key.namespace, key.name, deletion, lab_itself())
        elif not (secret.get("data") or {}).get("token"):
            self._fill(secret, account.object)
        return None

    def _fill(self, secret: Object, account: Object) -> None:
        texts = {
            "ca.crt": self._ca,
            "namespace": account["metadata"]["namespace"],
            "token": self._tokens.lasting(account, secret),
        }
        data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}

        def fill(obj: Object) -> None:
            obj["metadata"]["annotations"][_UID] = account["metadata"]["uid"]
            obj["data"] = {**(obj.get("data") or {}), **data}

        self.operations.modify(SECRETS, self.store.key(secret), fill)


def _account_of(secret: Object) -> str:
    """The ServiceAccount that a Secret is a token of; "" for none."""
    if secret.get("type") != ACCOUNT_TOKEN:
        return ""
    return str((secret["metadata"].get("annotations") or {}).get(ACCOUNT, ""))
