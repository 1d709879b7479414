"""Somebody else's workloads on a real cluster, and every object of theirs at one moment."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netprobe.model.objects import Object
from tests.run.netprobe import kubectl

WORKLOADS = Path(__file__).with_name("workloads.yaml")

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: neighbours}
expect:
  flows:
    - {from: SHOP/*, to: DATA/db, port: http, verdict: deny}
    - {from: SHOP/web, to: DATA/db, port: http, verdict: allow}
    - {from: SHOP/web, to: SHOP/web, port: http, verdict: allow}
    - {from: SHOP/batch, to: "svc:DATA/db", port: 5432, verdict: deny}
    - {from: SHOP/web, to: "svc:DATA/db", port: 5432, verdict: allow}
    - {from: DATA/db, to: SHOP/batch, port: 8080, verdict: allow}
"""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two namespaces with workloads in them."""

    kubeconfig: str
    shop: str
    data: str

    def text(self, text: str) -> str:
        return text.replace("SHOP", self.shop).replace("DATA", self.data)

    def apply(self, manifest: str) -> None:
        kubectl(self.kubeconfig, "apply", "-f", "-", stdin=self.text(manifest))

    @contextmanager
    def applied(self, manifest: str) -> Iterator[None]:
        """Objects that exist while the context is open."""
        self.apply(manifest)
        try:
            yield
        finally:
            text = self.text(manifest)
            kubectl(self.kubeconfig, "delete", "--cascade=foreground", "-f", "-", stdin=text)

    def get(self, *arguments: str) -> Object:
        found: Object = json.loads(kubectl(self.kubeconfig, "get", *arguments, "-o", "json"))
        return found

    def settled(self) -> None:
        for where, what in (
            (self.shop, "deployment/web"),
            (self.shop, "deployment/batch"),
            (self.data, "sts/db"),
        ):
            kubectl(self.kubeconfig, "-n", where, "rollout", "status", what, "--timeout=80s")

    def everything(self) -> dict[str, Object]:
        """All objects of both namespaces but events, as they are stored.

        What lists a namespace's pods is written anew when a pod comes and when it goes: of EndpointSlices and
        Endpoints the content counts.
        """
        kinds = kubectl(
            self.kubeconfig, "api-resources", "--namespaced", "--verbs=list", "-o", "name"
        ).split()
        kinds = [kind for kind in kinds if not kind.startswith(("events", "endpoints."))]
        found: dict[str, Object] = {}
        for namespace in (self.shop, self.data):
            for obj in self.get("-n", namespace, ",".join(kinds))["items"]:
                meta = obj["metadata"]
                meta.pop("managedFields", None)
                if obj["kind"] in {"EndpointSlice", "Endpoints"}:
                    for key in ("resourceVersion", "generation", "annotations"):
                        meta.pop(key, None)
                found[f"{obj['kind']}/{namespace}/{meta['name']}"] = obj
        return found


@contextmanager
def neighbours(kubeconfig: str) -> Iterator[Neighbours]:
    tag = secrets.token_hex(3)
    made = Neighbours(kubeconfig, f"inpl-shop-{tag}", f"inpl-data-{tag}")
    try:
        made.apply(WORKLOADS.read_text())
        made.settled()
        yield made
    finally:
        kubectl(kubeconfig, "delete", "namespace", made.shop, made.data, "--wait=false", "--ignore-not-found")


def until(what: Callable[[], bool], deadline_s: float = 60) -> None:
    """Ask again and again; an assertion fails at the deadline."""
    end = time.monotonic() + deadline_s
    while not what():
        assert time.monotonic() < end, "it did not come about in time"
