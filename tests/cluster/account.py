"""A ServiceAccount on a real cluster with exactly the roles that a test gives it, and its kubeconfig."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from netprobe.model.objects import Object
from tests.run.netprobe import kubectl

RBAC = Path(__file__).parents[2] / "manifests" / "rbac"


@dataclass(frozen=True, slots=True)
class Account:
    """`kubeconfig` speaks as the account; `name` is how the API server calls it."""

    kubeconfig: Path
    namespace: str

    @property
    def name(self) -> str:
        return f"system:serviceaccount:{self.namespace}:netprobe"


def published(*files: str) -> list[Object]:
    """The documents of files of manifests/rbac/."""
    return [doc for name in files for doc in yaml.safe_load_all((RBAC / name).read_text())]


def renamed(documents: Iterable[Object], tag: str) -> list[Object]:
    """The same under names that no other test uses: everything called netprobe-x, netprobe-x-TAG."""
    text = re.sub(r'"(netprobe-[a-z-]+)"', rf'"\1-{tag}"', json.dumps(list(documents)))
    text = text.replace('"namespace": "netprobe"', f'"namespace": "rbac-{tag}"')
    text = text.replace("serviceaccount:netprobe:", f"serviceaccount:rbac-{tag}:")
    documents = json.loads(text)
    for doc in documents:
        if doc["kind"] == "Namespace":
            doc["metadata"]["name"] = f"rbac-{tag}"
    return list(documents)


def without(documents: Sequence[Object], group: str, resource: str, verb: str) -> list[Object]:
    """The documents with one verb on one resource taken away, from every role that grants it."""
    changed: list[Object] = json.loads(json.dumps(documents))
    taken = False
    for doc in changed:
        rules: list[Object] = []
        for rule in doc.get("rules") or ():
            if group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]:
                taken = True
                others = [one for one in rule["resources"] if one != resource]
                rest = [one for one in rule["verbs"] if one != verb]
                rules.append({**rule, "resources": others})
                rules.append({**rule, "resources": [resource], "verbs": rest})
            else:
                rules.append(rule)
        if rules:
            doc["rules"] = [rule for rule in rules if rule["resources"] and rule["verbs"]]
    assert taken, f"no role grants {verb} {resource}.{group}"
    return changed


@contextmanager
def account(admin: str, documents: Sequence[Object], folder: Path) -> Iterator[Account]:
    """Apply the documents under names of their own, log in as their ServiceAccount, remove them after."""
    tag = secrets.token_hex(3)
    objects = renamed(documents, tag)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    try:
        kubectl(admin, "apply", "-f", "-", stdin=text)
        token = kubectl(admin, "-n", f"rbac-{tag}", "create", "token", "netprobe", "--duration=20m").strip()
        path = folder / f"kubeconfig-{tag}"
        path.write_text(yaml.safe_dump(config(admin, token)))
        path.chmod(0o600)
        yield Account(path, f"rbac-{tag}")
    finally:
        kubectl(admin, "delete", "--wait=false", "--ignore-not-found", "-f", "-", stdin=text)


def config(admin: str, token: str) -> Mapping[str, Any]:
    """A kubeconfig for the cluster of another one, with a token in the place of its user."""
    config = yaml.safe_load(Path(admin).read_text())
    current = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == current["cluster"])
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "account",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "account", "context": {"cluster": "c", "user": "u"}}],
    }
