"""Edits of the text: comments and layout stay, and nothing else changes."""

from __future__ import annotations

from textwrap import dedent

import pytest

from netprobe.lint import edits_in as edits
from netprobe.lint import fix
from netprobe.manifests.change import LONGEST
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


def test_a_list_gets_an_item_and_keeps_its_comments() -> None:
    expected = BLOCK.replace("- Ingress   # who calls us\n", "- Ingress   # who calls us\n    - Egress\n")
    assert mended(BLOCK, "ineffective-section") == expected


def test_a_list_that_ends_in_blank_lines_and_comments() -> None:
    text = BLOCK.replace("    - Ingress   # who calls us", "    - Egress")
    expected = text.replace("# names\n", "# names\n        - {port: 53, protocol: UDP}\n")
    assert mended(text, "no-dns") == expected


def test_a_list_in_flow_style() -> None:
    text = BLOCK.replace("policyTypes:\n    - Ingress   # who calls us\n", "policyTypes: [ Ingress ]\n")
    assert "policyTypes: [ Ingress, Egress ]\n" in mended(text, "ineffective-section")


def test_characters_of_several_bytes_move_no_edit() -> None:
    text = BLOCK.replace("# policies of the shop", "# règles de l'échoppe \U0001f511").replace(
        "the API", "l'API é"
    )
    assert mended(text, "ineffective-section") == text.replace("calls us\n", "calls us\n    - Egress\n")


def test_a_file_as_long_as_a_dump_is_left_alone() -> None:
    text = BLOCK + "# so long\n" * (LONGEST // 10)
    (finding,) = (one for one in found(text, "ineffective-section") if one.fix)
    assert edits(text, finding) == ()
    fixed = fix(text, [finding])
    assert fixed.text == text
    assert fixed.left == ((finding, "the file is too long to be one that people edit"),)


def test_windows_line_ends_stay() -> None:
    text = BLOCK.replace("\n", "\r\n")
    assert mended(text, "ineffective-section") == text.replace("calls us\r\n", "calls us\r\n    - Egress\r\n")


def test_json_stays_json() -> None:
    text = (
        '{"apiVersion": "v1", "kind": "List", "items": [\n'
        '  {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"},\n'
        '   "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]}}]}\n'
    )
    assert mended(text, "ineffective-section") == text.replace('["Ingress"]', '["Ingress", "Egress"]')


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


def test_a_key_is_renamed_wherever_it_is_asked_for() -> None:
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


@pytest.mark.parametrize("rule", ["ineffective-section", "no-dns"])
def test_edits_are_what_fix_does(rule: str) -> None:
    text = BLOCK if rule == "ineffective-section" else BLOCK.replace("- Ingress ", "- Egress ")
    (finding,) = found(text, rule)
    (edit,) = edits(text, finding)
    assert edit.apply(text) == mended(text, rule)
