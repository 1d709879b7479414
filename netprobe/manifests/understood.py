"""One object to the records of the model, by kind."""

from __future__ import annotations

from netprobe.manifests.document import Document, read_record
from netprobe.manifests.kinds import WORKLOADS
from netprobe.manifests.pod import read_pod
from netprobe.manifests.service import read_service
from netprobe.manifests.workload import Owner, read_workload
from netprobe.model.flow import PodRef, ServiceRef
from netprobe.policies import names
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels, read_names


def is_understood(document: Document) -> bool:
    """Whether an object can be read without an error."""
    if document.policy_kind is not None:
        return not read_record(document, strict=False)[1].errors
    decoder = Decoder(strict=False)
    obj, kind = document.object, document.kind
    metadata = decoder.mapping(obj.get("metadata"), "metadata")
    read_names(decoder, metadata, names.dns_label if kind == "Namespace" else names.dns_subdomain)
    check_labels(decoder, metadata, "labels", "metadata")
    if kind == "Pod":
        read_pod(decoder, obj, PodRef("", ""))
    elif kind == "Service":
        read_service(decoder, obj, ServiceRef("", ""))
    elif kind in WORKLOADS:
        read_workload(decoder, obj, Owner("", kind, ""))
    return not decoder.errors
