"""The gate that every request passes: who is it, do they speak for somebody else, may they do this?"""

from __future__ import annotations

import hmac

from aiohttp import web

from netprobe.lab.api.access import attributes
from netprobe.lab.api.access.attributes import Attributes
from netprobe.lab.api.access.rbac import Rbac
from netprobe.lab.api.access.tokens import Tokens
from netprobe.lab.api.access.user import (
    ADMIN,
    ANONYMOUS,
    AUTHENTICATED,
    User,
    account_groups,
    account_of,
)
from netprobe.lab.api.status import ApiError, unauthorized
from netprobe.lab.api.store import Store
from netprobe.lab.clock import Clock

_USER, _GROUP, _UID, _EXTRA = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-"
_GROUP_NAME = "authentication.k8s.io"


class Gate:
    """`token` is the administrator's own."""

    def __init__(self, store: Store, clock: Clock, token: str) -> None:
        self._admin = f"Bearer {token}".encode()
        self.rbac = Rbac(store)
        self.tokens = Tokens(store, clock)

    def admit(self, request: web.BaseRequest) -> User:
        """Whose request it is; ApiError 401 or 403 where it may not be done.

        The administrator's requests cost two comparisons.
        """
        user = self._authenticate(request)
        if any(name.lower().startswith("impersonate-") for name in request.headers):
            user = self._impersonated(user, request)
        if not user.is_master:
            self.require(user, attributes.of_request(request.method, request.path, request.query))
        return user

    def require(self, user: User, asked: Attributes) -> None:
        """ApiError 403 where they may not."""
        ruling = self.rbac.decide(user, asked)
        if not ruling.allowed:
            raise asked.refused(user.name, ruling.reason)

    def _authenticate(self, request: web.BaseRequest) -> User:
        given = request.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(errors="surrogateescape"), self._admin):
            return ADMIN
        scheme, _, token = given.partition(" ")
        user = self.tokens.user(token) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    def _impersonated(self, user: User, request: web.BaseRequest) -> User:
        """Who is meant by the headers that `--as` sends; ApiError 403 where `user` may not be them.

        The rules are those of apiserver's pkg/endpoints/filters/impersonation.go.
        """
        name, groups = request.headers.get(_USER, ""), request.headers.getall(_GROUP, [])
        uid = request.headers.get(_UID, "")
        extra: dict[str, tuple[str, ...]] = {}
        for header, value in request.headers.items():
            if header.lower().startswith(_EXTRA.lower()):
                key = header[len(_EXTRA) :].lower()
                extra[key] = (*extra.get(key, ()), value)
        if not name:
            raise ApiError(500, "InternalError", "Internal error occurred: impersonation without a user")
        wanted = [_to_be(name)]
        wanted += [Attributes("impersonate", "", "groups", name=group) for group in groups]
        wanted += [Attributes("impersonate", _GROUP_NAME, "uids", name=uid)] if uid else []
        for key, values in extra.items():
            wanted += [Attributes("impersonate", _GROUP_NAME, "userextras", key, value) for value in values]
        for asked in wanted:
            self.require(user, asked)
        account = account_of(name)
        if account is not None and not groups:
            groups = list(account_groups(account[0]))
        own = "system:unauthenticated" if name == ANONYMOUS else AUTHENTICATED
        return User(name, (*groups, *({own} - set(groups))), uid, extra)


def _to_be(name: str) -> Attributes:
    """The permission to be somebody."""
    account = account_of(name)
    if account is None:
        return Attributes("impersonate", "", "users", name=name)
    return Attributes("impersonate", "", "serviceaccounts", name=account[1], namespace=account[0])
