"""An admission webhook next to the API server of ../shared/realcluster, asked for one namespace only."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.real import TOOL, is_beside
from tests.run.netprobe import kubectl

_SERVER = """
import base64, http.server, json, ssl, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"uid": review["request"]["uid"], **json.loads(sys.argv[2])}
        told = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        body = json.dumps(told)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@dataclass(frozen=True, slots=True)
class Webhook:
    """What it does to `resource` of one namespace: a JSON patch, or a refusal in words."""

    namespace: str
    resource: str
    patch: Sequence[Mapping[str, Any]] = ()
    refusal: str | None = None

    @property
    def response(self) -> dict[str, Any]:
        if self.refusal is not None:
            return {"allowed": False, "status": {"message": self.refusal}}
        patch = base64.b64encode(json.dumps(list(self.patch)).encode()).decode()
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


@contextmanager
def serving(admin: str, hook: Webhook, folder: Path) -> Iterator[None]:
    """Serve the webhook in the API server's network namespace, registered while the context is open."""
    if not is_beside():
        pytest.skip("a webhook can be put next to the API server of ../shared/realcluster only")
    bundle, certificate = _certificate(folder)
    command = [str(TOOL), "in", "n1", sys.executable, "-c", _SERVER, str(bundle), json.dumps(hook.response)]
    name = f"netprobe-test-{secrets.token_hex(3)}"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            text = json.dumps(_configuration(name, hook, port, certificate))
            kubectl(admin, "apply", "-f", "-", stdin=text)
            try:
                yield
            finally:
                kubectl(admin, "delete", "mutatingwebhookconfiguration", name)
        finally:
            server.kill()


def _configuration(name: str, hook: Webhook, port: int, certificate: bytes) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [hook.resource]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "test.netprobe.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 10,
                "failurePolicy": "Fail",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": hook.namespace}},
                "rules": [rule],
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}/",
                    "caBundle": base64.b64encode(certificate).decode(),
                },
            }
        ],
    }


def _certificate(folder: Path) -> tuple[Path, bytes]:
    """A certificate for 127.0.0.1 that vouches for itself: a file with its key, and the certificate alone."""
    path, alone = folder / "webhook.pem", folder / "certificate.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=webhook"
    command = ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", path, "-out", alone], capture_output=True, check=True)
    path.write_bytes(alone.read_bytes() + path.read_bytes())
    return path, alone.read_bytes()
