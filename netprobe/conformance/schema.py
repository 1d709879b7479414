"""The format of a file of cases: pydantic models. docs/conformance.schema.json is generated from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

Pod = Annotated[str, StringConstraints(pattern=r"^[vxyz]/[a-z0-9]+$")]
Remade = Annotated[str, StringConstraints(pattern=r"^(v|[vxyz]/[a-z0-9]+)$")]
Held = Annotated[str, StringConstraints(pattern=r"^[xyz]/[abc] -> [xyz]/[abc] [0-9]+/TCP$")]
End = Annotated[str, StringConstraints(pattern=r"^((node:)?[vxyz]/[a-z0-9]+|svc:y/web|out:(near|far))$")]
Port = Annotated[str, StringConstraints(pattern=r"^[0-9]+/(TCP|UDP|SCTP)$")]
NeedName = Literal["sctp", "dual-stack", "two-nodes", "outside", "host-network", "kubelet"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicySpec(_Strict):
    """A policy of a case. The same name in several moments means one policy that changes."""

    kind: str = Field(
        "NetworkPolicy",
        description=(
            "Its kind; with its group if the name alone is ambiguous: ClusterNetworkPolicy, Tier, "
            "NetworkPolicy.projectcalico.org. A cluster that does not serve it skips the case. The "
            "subject of a cluster-scoped policy is limited to the case's namespaces."
        ),
    )
    namespace: Literal["v", "w", "x", "y", "z"] | None = Field(
        None, alias="in", description="Its namespace; none for a cluster-scoped kind."
    )
    name: str | None = Field(None, description="Its name; by default its number among the moment's policies.")
    times: int = Field(
        1, ge=1, le=500, description="Number of copies; <n> in the spec is the number of the copy, from 1."
    )
    spec: dict[str, Any] = Field(
        description=(
            "The spec of the API object. A cidr may be <x/a> (the address of that pod), <pods> (the smallest "
            "network that contains all nine), <pods by x/a> (the same, with that pod's host bits), or "
            "<out:near>; <x/a over IPv6> is the pod's IPv6 address. <longest key> and <longest value> are a "
            "label of the maximum length."
        )
    )


class MomentSpec(_Strict):
    """One state: all policies, labels in addition to the usual ones, and the whole expected matrix."""

    policies: list[PolicySpec]
    labels: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="By namespace (y) or pod (y/b)."
    )
    pods: dict[Pod, dict[str, str]] = Field(
        default_factory=dict,
        description=(
            "Pods besides the nine, with these labels besides pod=NAME; created after the policies. "
            "x/near and x/far are hostNetwork pods on the nodes of x/a and x/b."
        ),
    )
    remade: list[Remade] = Field(
        default_factory=list,
        description="Some of `pods`, or the namespace v, that exist and are deleted and created again.",
    )
    holds: list[Held] = Field(
        default_factory=list,
        description="Connections, such as x/b -> x/a 80/TCP, opened before this change and kept open.",
    )
    expect: str = Field(
        description=(
            "Rows SOURCE -> DESTINATION [PORT] MARK, X for denied and . for allowed, with shell wildcards. "
            "The last row that matches a flow decides; a flow without a row is allowed."
        )
    )


class CaseSpec(_Strict):
    """One case: a sentence, the rules of docs/semantics.md that it shows, and its moments in order."""

    case: str = Field(description="A unique sentence that is true of a correct cluster.")
    rules: list[str] = Field(min_length=1, description="Ids of rules; the first one gives the feature.")
    tags: list[str] = Field(default_factory=list)
    needs: list[NeedName] = Field(
        default_factory=list, description="The case is skipped if the cluster lacks one of these."
    )
    undefined: str | None = Field(
        None, description="Why the result is implementation-defined: the case is shown and not scored."
    )
    ports: list[Port] | None = Field(None, description="The ports to probe; 80 and 81 by default.")
    ends: list[End] = Field(default_factory=list, description="Ends besides the nine pods.")
    families: list[Literal[4, 6]] = Field(
        default_factory=list, description="Probe each family separately: ports become 80/TCP/4."
    )
    moments: list[MomentSpec] = Field(min_length=1)


class CaseFile(RootModel[list[CaseSpec]]):
    """Cases for `netprobe conformance`: see docs/conformance.md."""
