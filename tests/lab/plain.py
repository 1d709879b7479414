"""The least of a client: JSON over a lab's HTTPS, for tests that need no client library."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

_DEADLINE_S = 30


class Plain:
    """Speaks as the user of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self._server = config["clusters"][0]["cluster"]["server"]
        self._token = config["users"][0]["user"]["token"]
        self._context = ssl._create_unverified_context()  # noqa: S323 (loopback; certificates are tested elsewhere)

    def call(self, path: str, body: Any = None, *, method: str = "") -> Any:
        """The answer; without a method GET, or POST where there is a body. HTTPError where it is refused."""
        with self._open(path, body, method) as answer:
            return json.load(answer)

    def until(self, watch: str, holds: Callable[[Any], bool]) -> None:
        """Follow a watch until an object is as it should be."""
        with self._open(watch) as lines:
            assert any(holds(json.loads(line)["object"]) for line in lines), f"{watch} ended"

    def _open(self, path: str, body: Any = None, method: str = "") -> Any:
        request = urllib.request.Request(  # noqa: S310 (the lab's own https)
            f"{self._server}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method=method or None,
        )
        return urllib.request.urlopen(request, context=self._context, timeout=_DEADLINE_S)  # noqa: S310
