"""What the API server says of a NetworkPolicy; tests/corpus/validation has hundreds more with its answers."""
# ruff: noqa: E501  # messages are compared whole

from __future__ import annotations

from typing import Any

import pytest
import yaml

from netprobe.policies.networkpolicy import validate_policy

QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


def said(text: str, *, strict: bool = True) -> list[str]:
    obj: dict[str, Any] = {"metadata": {"name": "p"}, **yaml.safe_load(text)}
    return [str(error) for error in validate_policy(obj, strict=strict)]


@pytest.mark.parametrize(
    "text",
    [
        "spec:",
        "spec: {}",
        "spec: {podSelector: {}, policyTypes: []}",
        "spec: {policyTypes: [Ingress, Ingress]}",
        "spec: {ingress: [null, {from: []}, {ports: [null]}]}",
        "spec: {ingress: [{from: [{podSelector: {}, namespaceSelector: null}]}]}",
        "spec: {podSelector: {matchLabels: {a: null}, matchExpressions: null}}",
        "spec: {podSelector: {matchExpressions: [{key: a, operator: In, values: [null]}]}}",
        "spec: {egress: [{ports: [{port: 80.0, endPort: 81}]}]}",
        "spec: {egress: [{to: [{ipBlock: {cidr: 010.1.2.3/08, except: ['::ffff:10.1.0.0/112']}}]}]}",
        "metadata: {name: a.b-c, generateName: x-, labels: {example.com/a: ''}}",
        "metadata: {generateName: x-}",
        "metadata: {name: p, annotations: {EXAMPLE.com/a: anything at all}, creationTimestamp: null}",
        "metadata: {name: p, finalizers: [kubernetes, example.com/x], generation: -1}",
    ],
)
def test_valid(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata:", ["metadata.name: Required value: name or generateName is required"]),
        ("spec: 7", ["spec: Invalid value: 7: must be a mapping, not a number"]),
        ("spec: {ingress: {}}", ["spec.ingress: Invalid value: {}: must be a list, not a mapping"]),
        ("spec: {ingress: [{from: [{}]}]}", ["spec.ingress[0].from[0]: Required value: must specify a peer"]),
        (
            "spec: {egress: [{to: [{podSelector: {}, ipBlock: {}}]}]}",
            [
                "spec.egress[0].to[0].ipBlock.cidr: Required value",
                "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer",
            ],
        ),
        (
            "spec: {egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8, x]}}]}]}",
            [
                (
                    'spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of '
                    "`cidr`"
                ),
                (
                    'spec.egress[0].to[0].ipBlock.except[1]: Invalid value: "x": must be a valid CIDR value, (e.g. '
                    "10.9.8.0/24 or 2001:db8::/64)"
                ),
            ],
        ),
        (
            "spec: {ingress: [{ports: [{port: '80'}, {port: 0, protocol: tcp}, {endPort: 1}, {port: a, endPort: 1}]}]}",
            [
                'spec.ingress[0].ports[0].port: Invalid value: "80": must contain at least one letter (a-z)',
                (
                    'spec.ingress[0].ports[1].protocol: Unsupported value: "tcp": supported values: "TCP", "UDP", '
                    '"SCTP"'
                ),
                "spec.ingress[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                (
                    "spec.ingress[0].ports[2].endPort: Invalid value: 1: may not be specified when `port` is not "
                    "specified"
                ),
                (
                    "spec.ingress[0].ports[3].endPort: Invalid value: 1: may not be specified when `port` is "
                    "non-numeric"
                ),
            ],
        ),
        (
            "spec: {ingress: [{ports: [{port: 80, endPort: 79}, {port: 1.5}, {port: true}]}]}",
            [
                "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
                (
                    "spec.ingress[0].ports[1].port: Invalid value: 1.5: must be an integer or a port's name, not a "
                    "number"
                ),
                (
                    "spec.ingress[0].ports[2].port: Invalid value: true: must be an integer or a port's name, not a "
                    "boolean"
                ),
            ],
        ),
        (
            "spec: {policyTypes: [ingress]}",
            ['spec.policyTypes[0]: Unsupported value: "ingress": supported values: "Ingress", "Egress"'],
        ),
        (
            (
                "spec: {podSelector: {matchExpressions: [{key: a, operator: In}, {key: a, operator: Exists, values: [b]}, "
                "{key: '', operator: Is}]}}"
            ),
            [
                (
                    "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is "
                    "'In' or 'NotIn'"
                ),
                (
                    "spec.podSelector.matchExpressions[1].values: Forbidden: may not be specified when `operator` is "
                    "'Exists' or 'DoesNotExist'"
                ),
                'spec.podSelector.matchExpressions[2].operator: Invalid value: "Is": not a valid selector operator',
                'spec.podSelector.matchExpressions[2].key: Invalid value: "": name part must be non-empty',
                (
                    'spec.podSelector.matchExpressions[2].key: Invalid value: "": name part must consist of '
                    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
                    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}')"
                ),
            ],
        ),
        (
            "spec: {podSelector: {matchLabels: {a: 1}}}",
            ["spec.podSelector.matchLabels: Invalid value: 1: must be a string, not a number"],
        ),
        (
            "metadata: {name: p, finalizers: [orphan, foregroundDeletion, x]}",
            [
                (
                    'metadata.finalizers: Invalid value: ["orphan", "foregroundDeletion", "x"]: finalizer orphan and '
                    "foregroundDeletion cannot be both set"
                ),
                (
                    'metadata.finalizers[2]: Invalid value: "x": name is neither a standard finalizer name nor is it '
                    "fully qualified"
                ),
            ],
        ),
    ],
)
def test_invalid(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_unknown_fields_are_errors_under_strict_validation_only() -> None:
    text = "{spec: {podselector: {}}, status: {}}"
    assert said(text) == [
        'status: unknown field "status"',
        'spec.podselector: unknown field "spec.podselector"',
    ]
    assert said(text, strict=False) == []


def test_the_type_is_the_cause_of_the_server_s_status() -> None:
    errors = validate_policy({"spec": {"policyTypes": ["x"], "ingress": 1, "more": 2}})
    assert {error.type for error in errors} == {
        "FieldValueRequired",
        "FieldValueNotSupported",
        "FieldValueTypeInvalid",
        "UnknownField",
    }
