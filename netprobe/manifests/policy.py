"""The policy of a document: what `netprobe.policies` reads, with the place of every problem."""

from __future__ import annotations

from netprobe.errors import InputError
from netprobe.manifests.document import Document
from netprobe.model.policy import Policy
from netprobe.policies.fields import Decoder
from netprobe.policies.networkpolicy import read_policy


def parse_policy(document: Document, *, namespace: str = "default", strict: bool = True) -> Policy:
    """The policy of a document; `namespace` for one that names none. Raises InputError with all problems."""
    obj = document.object
    # servers from 1.24 to 1.27 had a status here, and `kubectl get -o yaml` still shows it
    checked = {key: value for key, value in obj.items() if key != "status"} if "status" in obj else obj
    decoder = Decoder(strict=strict)
    origin = document.origin if document.origin.line else None
    policy = read_policy(decoder, checked, namespace=namespace, origin=origin)
    if policy is None:
        raise InputError(document.problems(decoder.errors))
    return policy
