"""Edits of the text: comments and layout stay, and nothing else changes."""

from __future__ import annotations

from textwrap import dedent

import pytest

from netprobe.lint import edits_in as edits
from netprobe.lint import fix
from netprobe.manifests.text_edit import LONGEST
from tests.lint.helpers import found

BLOCK = """\
# policies of the shop
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: api   # the API
  namespace: shop
spec:
  podSelector: {}
  policyTypes:
    - Ingress   # who calls us
  egress:
    # the database
    - to:
        - podSelector: {matchLabels: {app: db}}
      ports:
        - port: 53   # names

        # end
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
"""


def mended(text: str, rule: str) -> str:
    fixed = fix(text, found(text, rule))
    assert fixed.fixed
    assert not fixed.left
    assert not [f for f in found(fixed.text, rule) if f.fix], "the rule still finds it"
    return fixed.text


EGRESS = BLOCK.replace("    - Ingress   # who calls us", "    - Egress")
SECTION, DNS = "ineffective-section", "no-dns"
ITEM, DNS_ITEM = "calls us\n    - Egress\n", "# names\n        - {port: 53, protocol: UDP}\n"
# Styles, encodings and line ends are in tests/manifests/test_unified.py.
EDITS = [  # text, rule, what the edit replaces, by what
    pytest.param(BLOCK, SECTION, "calls us\n", ITEM, id="a list keeps its comments"),
    pytest.param(EGRESS, DNS, "# names\n", DNS_ITEM, id="a list before blank lines and comments"),
]


@pytest.mark.parametrize(("text", "rule", "old", "new"), EDITS)
def test_an_edit_changes_nothing_else(text: str, rule: str, old: str, new: str) -> None:
    assert mended(text, rule) == text.replace(old, new)
    (finding,) = (one for one in found(text, rule) if one.fix)
    (edit,) = edits(text, finding)
    assert edit.apply(text) == text.replace(old, new)


def test_a_file_as_long_as_a_dump_is_left_alone() -> None:
    text = BLOCK + "# so long\n" * (LONGEST // 10)
    (finding,) = (one for one in found(text, "ineffective-section") if one.fix)
    assert edits(text, finding) == ()
    fixed = fix(text, [finding])
    assert fixed.text == text
    assert fixed.left == ((finding, "the file is too long to be one that people edit"),)


NAMES = """\
kind: Namespace
apiVersion: v1
metadata: {name: monitoring}
---
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {name: a, namespace: shop}
spec:
  podSelector: {}
  ingress:
    - from:
        - namespaceSelector:
            matchLabels:
              name: monitoring  # where Prometheus lives
        - namespaceSelector:
            matchExpressions:
              - {key: name, operator: In, values: [monitoring]}
      ports: [{port: 9090}]
"""


def test_a_key_is_renamed_wherever_it_is_used() -> None:
    text = mended(NAMES, "namespace-by-name")
    assert "kubernetes.io/metadata.name: monitoring  # where Prometheus lives\n" in text
    assert "{key: kubernetes.io/metadata.name, operator: In" in text
    assert text.count("metadata.name") == 2


REPEATED = """\
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {name: a}
spec:
  podSelector: {}
  ingress:
    - from:
        - podSelector: {matchLabels: {app: a}}   # first
        # the same again, and again
        - podSelector:
            matchLabels:
              app: a
        - podSelector: {matchLabels: {app: a}}   # third
        - podSelector: {matchLabels: {app: b}}
      ports: [{port: 80}, {port: 81}, {port: 80}]
"""


def test_repetitions_go_from_the_end() -> None:
    text = mended(REPEATED, "redundant-item")
    assert (
        "# first\n        # the same again, and again\n        - podSelector: {matchLabels: {app: b}}" in text
    )
    assert "ports: [{port: 80}, {port: 81}]\n" in text


def test_an_anchor_that_others_share_is_left_to_the_user() -> None:
    text = dedent("""\
        kind: List
        apiVersion: v1
        items:
          - kind: NetworkPolicy
            apiVersion: networking.k8s.io/v1
            metadata: {name: a}
            spec: {podSelector: {}, policyTypes: &types [Ingress], egress: [{}]}
          - kind: NetworkPolicy
            apiVersion: networking.k8s.io/v1
            metadata: {name: b}
            spec: {podSelector: {}, policyTypes: *types}
        """)
    findings = found(text, "ineffective-section")
    fixed = fix(text, findings)
    assert fixed.text == text
    assert fixed.fixed == ()
    assert "something else" in fixed.left[0][1]
    assert edits(text, findings[0]) == ()


def test_a_text_that_has_changed_meanwhile_is_left_alone() -> None:
    (finding,) = found(BLOCK, "ineffective-section")
    moved = f"# a new line\n{BLOCK}"
    assert fix(moved, [finding]).text == moved
    assert edits(moved, finding) == ()
