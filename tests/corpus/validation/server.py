"""Ask a real API server about every case: a dry run with strict field validation, which stores nothing.

`python -m tests.corpus.validation.server KUBECONFIG` writes the answers to answers.json.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.corpus.validation import ANSWERS, Answer, cases

PATH = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies?dryRun=All&fieldValidation=Strict"


class Server:
    """The API server of a kubeconfig's current context, with a client certificate or a token."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        self._url: str = cluster["server"]
        self._headers = {"Content-Type": "application/json"}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        self._tls = ssl.create_default_context(cadata=_content(cluster, "certificate-authority", kubeconfig))
        if "client-certificate" in user or "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile("w") as pair:
                pair.write(_content(user, "client-certificate", kubeconfig) + "\n")
                pair.write(_content(user, "client-key", kubeconfig))
                pair.flush()
                self._tls.load_cert_chain(pair.name)

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """GET, or POST with a body; the HTTP status and the object in the response."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, self._headers)  # noqa: S310 - a kubeconfig's URL
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=30) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def answer(self, policy: Mapping[str, Any]) -> Answer:
        """None if the server accepts the policy, else the paths of the fields that it refuses."""
        status, body = self.call(PATH, policy)
        causes = body.get("details", {}).get("causes", [])
        return None if status == 201 else sorted({cause["field"] for cause in causes})


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _content(entry: Mapping[str, Any], key: str, kubeconfig: Path) -> str:
    if f"{key}-data" in entry:
        return base64.b64decode(str(entry[f"{key}-data"])).decode()
    return (kubeconfig.parent / str(entry[key])).read_text()


def record(kubeconfig: Path) -> None:
    server = Server(kubeconfig)
    _, version = server.call("/version")
    answers = [f"  {json.dumps(case.name)}: {json.dumps(server.answer(case.policy))}" for case in cases()]
    lines = [
        "{",
        f' "server": {json.dumps(version["gitVersion"])},',
        ' "cases": {',
        ",\n".join(answers),
        " }",
        "}",
    ]
    ANSWERS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
