"""Objects of Calico for the tests, written in short."""

from __future__ import annotations

from typing import Any

import yaml

from netprobe.manifests.document import Document, read_record
from netprobe.model.policy import Origin
from netprobe.policies.fields import Decoder
from netprobe.policies.kinds import Record

V3, CRD = "projectcalico.org/v3", "crd.projectcalico.org/v1"


def calico(kind: str, spec: str | dict[str, Any], *, version: str = V3, **metadata: Any) -> dict[str, Any]:
    """An object; `spec` as YAML. It is called "p" and is in the namespace "x" unless the metadata differ."""
    namespace = {} if kind.startswith(("Global", "StagedGlobal", "Tier", "Host")) else {"namespace": "x"}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "p", **namespace, **metadata},
        "spec": yaml.safe_load(spec) if isinstance(spec, str) else spec,
    }


def read(obj: dict[str, Any], *, strict: bool = True) -> tuple[Record | None, Decoder]:
    return read_record(Document(Origin("m.yaml", 0), obj), strict=strict)


def wrong(obj: dict[str, Any]) -> list[str]:
    """What is wrong with an object from a file."""
    record, decoder = read(obj)
    assert (record is None) == bool(decoder.errors) or decoder.warnings, decoder.errors
    return [str(error) for error in decoder.errors]
