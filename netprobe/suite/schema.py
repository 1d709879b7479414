"""The suite file as it is written: pydantic models, one field for each key, and no unknown keys.

The patterns in a row's `from`, `to` and `port` are read by ends.py while the models are built, so that one
validation reports everything that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    model_validator,
)

from netprobe.model.flow import Address, Protocol
from netprobe.model.verdict import Verdict
from netprobe.policies import names
from netprobe.policies.address import parse_address
from netprobe.policies.kinds import SIMULATED
from netprobe.suite.ends import EndPattern, PortPattern, parse_end, parse_port

API_VERSION = "netprobe/v1alpha1"
KIND = "ConnectivitySuite"


def _checked(rule: Callable[[str], Sequence[str]]) -> AfterValidator:
    def check(value: str) -> str:
        if problems := rule(value):
            raise ValueError("; ".join(problems))
        return value

    return AfterValidator(check)


def _port(value: Any) -> Any:
    """80 and 53/UDP are short for {port: 80} and {port: 53, protocol: UDP}."""
    if isinstance(value, str):
        pattern = parse_port(value)
        if isinstance(pattern.port, str):
            raise ValueError("a port is declared by its number; write {port: NUMBER, name: NAME}")  # noqa: TRY004  # pydantic reads ValueError
        return {"port": pattern.port, "protocol": (pattern.protocol or Protocol.TCP).value}
    return {"port": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _address(value: Any) -> Address:
    address = parse_address(value) if isinstance(value, str) else None
    if address is None:
        raise ValueError("must be an address such as 203.0.113.50")
    return address


def _verdict(value: Any) -> Verdict:
    words = {verdict.value: verdict for verdict in (Verdict.ALLOW, Verdict.DENY)}
    verdict = words.get(value.lower()) if isinstance(value, str) else None
    if verdict is None:
        raise ValueError("must be allow or deny")
    return verdict


def _many(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _ports(value: Any) -> Any:
    """None means every port that the destination declares."""
    if value in (None, "any"):
        return None
    return [parse_port(item) for item in _many(value)]


def _ends(value: Any) -> Any:
    return [parse_end(item) for item in _many(value)]


def _policy(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


Name = Annotated[str, _checked(names.dns_label)]
PodName = Annotated[str, _checked(names.dns_subdomain)]
LabelKey = Annotated[str, _checked(names.label_key)]
LabelValue = Annotated[str, _checked(names.label_value)]
Labels = dict[LabelKey, LabelValue]
Annotations = dict[LabelKey, str]
Changes = dict[LabelKey, LabelValue | None]
GivenVerdict = Annotated[
    InstanceOf[Verdict], BeforeValidator(_verdict, json_schema_input_type=Literal["allow", "deny"])
]
Ends = Annotated[
    list[InstanceOf[EndPattern]],
    BeforeValidator(_ends, json_schema_input_type=str | list[str]),
    Field(min_length=1),
]
PortPatterns = Annotated[
    list[InstanceOf[PortPattern]] | None,
    BeforeValidator(_ports, json_schema_input_type=int | str | list[int | str] | None),
]


class StrictModel(BaseModel):
    """No unknown fields, no conversions: `80` is not a name and `"80"` is not a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Metadata(StrictModel):
    name: Name


class PortSpec(StrictModel):
    port: Annotated[int, Field(ge=1, le=65535)]
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    name: Annotated[str, _checked(names.port_name)] | None = None


Ports = list[Annotated[PortSpec, BeforeValidator(_port, json_schema_input_type=int | str | PortSpec)]]


class PodSpec(StrictModel):
    name: PodName
    labels: Labels = {}
    annotations: Annotations = {}
    ports: Ports = []
    replicas: Annotated[int, Field(ge=1, le=500)] | None = None
    node: str = "any"


class NamespaceSpec(StrictModel):
    name: Name
    labels: Labels = {}
    annotations: Annotations = {}
    pods: list[PodSpec] = []


class ExternalSpec(StrictModel):
    name: Name
    address: Annotated[Any, BeforeValidator(_address, json_schema_input_type=str)]
    ports: Ports = []


class TopologySpec(StrictModel):
    namespaces: list[NamespaceSpec] = []
    external: list[ExternalSpec] = []


class PolicySource(StrictModel):
    path: str
    namespace: Name | None = None


PolicySources = list[
    Annotated[PolicySource, BeforeValidator(_policy, json_schema_input_type=str | PolicySource)]
]


class RowSpec(StrictModel):
    source: Ends = Field(alias="from")
    destination: Ends = Field(alias="to")
    port: PortPatterns = None
    verdict: GivenVerdict


class ExpectSpec(StrictModel):
    default: GivenVerdict | None = None
    flows: list[RowSpec] = []

    @model_validator(mode="after")
    def _asks_for_something(self) -> ExpectSpec:
        if self.default is None and not self.flows:
            raise ValueError("expects nothing: give flows, or a default")
        return self


class LabelSpec(StrictModel):
    namespace: Name | None = None
    pod: str | None = None
    changes: Changes = Field(alias="set", min_length=1)

    @model_validator(mode="after")
    def _one_object(self) -> LabelSpec:
        if (self.namespace is None) == (self.pod is None):
            raise ValueError("name either a namespace or a pod")
        return self


class AnnotateSpec(LabelSpec):
    changes: dict[LabelKey, str | None] = Field(alias="set", min_length=1)


def _deletable(kind: str) -> str:
    if kind not in DELETABLE:
        raise ValueError("not a policy kind such as networkpolicy")
    return kind


DELETABLE = tuple(kind.key.lower() for kind in SIMULATED)
DeleteSpec = Annotated[
    dict[Annotated[str, AfterValidator(_deletable)], str],
    Field(
        min_length=1,
        max_length=1,
        description="A kind in lower case, and NAMESPACE/NAME (NAME, if the kind has no namespaces).",
        json_schema_extra={"propertyNames": {"enum": list(DELETABLE)}},
    ),
]


class ActionSpec(StrictModel):
    label: LabelSpec | None = None
    annotate: AnnotateSpec | None = None
    apply: PolicySources | None = None
    delete: DeleteSpec | None = None

    @model_validator(mode="after")
    def _one_action(self) -> ActionSpec:
        if len(self.model_fields_set) != 1:
            raise ValueError("needs exactly one of label, annotate, apply, delete")
        return self


class StepSpec(StrictModel):
    name: Annotated[str, Field(min_length=1)]
    do: Annotated[list[ActionSpec], Field(min_length=1)]
    expect: ExpectSpec | None = None


class SuiteSpec(StrictModel):
    api_version: Literal["netprobe/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["ConnectivitySuite"]
    metadata: Metadata
    topology: TopologySpec | None = None
    policies: PolicySources = []
    expect: ExpectSpec
    steps: list[StepSpec] = []


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a suite file, for editors; it accepts every suite that `load` accepts."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | SuiteSpec.model_json_schema()
