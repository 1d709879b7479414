"""A file of cases as it is written: pydantic models, from which docs/conformance.schema.json is made."""

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
    """A NetworkPolicy of a case. Policies of one name in several moments are one policy that changes."""

    namespace: Literal["v", "w", "x", "y", "z"] = Field(
        alias="in", description="The namespace that it is in."
    )
    name: str | None = Field(None, description="Its name; by default its number among the moment's policies.")
    times: int = Field(
        1, ge=1, le=500, description="So many copies; <n> in its spec is the number of each, from 1."
    )
    spec: dict[str, Any] = Field(
        description=(
            "The spec of the API object. A cidr may be <x/a> (the address of that pod), <pods> (the smallest "
            "network that holds all nine), <pods by x/a> (the same, written with that pod's host bits), or "
            "<out:near>; <x/a over IPv6> is the pod's address of that family. <longest key> and "
            "<longest value> are a label as long as the API allows."
        )
    )


class MomentSpec(_Strict):
    """All policies that exist at a moment, labels added to the usual ones, and the whole expected matrix."""

    policies: list[PolicySpec]
    labels: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="By namespace (y) or pod (y/b)."
    )
    pods: dict[Pod, dict[str, str]] = Field(
        default_factory=dict,
        description=(
            "Pods that are there beside the nine, with these labels beside pod=NAME; made after the "
            "policies. x/near and x/far are on the network of their node, that of x/a and that of x/b."
        ),
    )
    remade: list[Remade] = Field(
        default_factory=list,
        description="What is there from before and is deleted first: some of `pods`, or the namespace v.",
    )
    holds: list[Held] = Field(
        default_factory=list,
        description="Connections, as x/b -> x/a 80/TCP, opened before this moment's change and kept.",
    )
    expect: str = Field(
        description=(
            "Rows SOURCE -> DESTINATION [PORT] MARK, X for denied and . for allowed, with wildcards as a "
            "shell has them. The last row that matches a flow counts; a flow without a row passes."
        )
    )


class CaseSpec(_Strict):
    """One case: a sentence, the rules of docs/semantics.md that it shows, and its moments in their order."""

    case: str = Field(description="What is so where the cluster does it right; unique.")
    rules: list[str] = Field(min_length=1, description="Ids of rules; the first gives the feature.")
    tags: list[str] = Field(default_factory=list)
    needs: list[NeedName] = Field(
        default_factory=list, description="Where the cluster lacks one, the case is skipped."
    )
    undefined: str | None = Field(
        None, description="Why the answer is the implementation's: shown, and not scored."
    )
    ports: list[Port] | None = Field(None, description="The ports asked for; 80 and 81 by default.")
    ends: list[End] = Field(default_factory=list, description="Ends beside the nine pods.")
    families: list[Literal[4, 6]] = Field(
        default_factory=list, description="Ask each family for itself: ports become 80/TCP/4."
    )
    moments: list[MomentSpec] = Field(min_length=1)


class CaseFile(RootModel[list[CaseSpec]]):
    """Cases for `netprobe conformance`: see docs/conformance.md."""
