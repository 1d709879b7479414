"""Cutting what nobody reads out of a dump changes nothing that is read."""

from __future__ import annotations

import pytest
import yaml

from netprobe.manifests.trim import trimmed

POD = """\
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      note: |
        env:
        - not a key
    labels:
      app: web
      env: prod
      volumes:
    name: p
  spec:
    containers:
    - args:
      - --volumes
      env:
      - name: A
        value: "x"
# a comment in between
      - name: B

      image: i
      ports:
      - containerPort: 80
      resources: {}
      volumeMounts:
        - mountPath: /x
    tolerations:
    - operator: Exists
  status:
    podIP: 10.0.0.1
    containerStatuses:
    - state:
        running: {}
"""


def test_only_what_is_unread_is_gone() -> None:
    text = trimmed(POD)
    (kept,) = yaml.safe_load(text)
    (whole,) = yaml.safe_load(POD)
    del whole["metadata"]["annotations"]
    container = whole["spec"]["containers"][0]
    del container["env"], container["volumeMounts"], whole["spec"]["tolerations"]
    del whole["status"]["containerStatuses"]
    assert kept == whole
    assert "labels" in kept["metadata"]
    assert kept["metadata"]["labels"] == {"app": "web", "env": "prod", "volumes": None}


@pytest.mark.parametrize(
    "text",
    [
        "  metadata:\n    labels: {\n      env:\n        prod\n    }\n",
        "  spec: &anchor\n    env:\n    - name: A\n",
    ],
)
def test_where_indents_may_not_tell_nothing_is_cut(text: str) -> None:
    assert trimmed(text) == text
