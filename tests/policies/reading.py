"""What the readers of policy kinds refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.model.objects import Object
from netprobe.policies.fields import Decoder, FieldError
from netprobe.policies.kinds import kind_of
from netprobe.policies.networkpolicy import read_policy


def refused(obj: Object) -> list[FieldError]:
    """The errors of an object of a policy kind that a file has."""
    kind, decoder = kind_of(obj["apiVersion"], obj["kind"]), Decoder(strict=True)
    assert kind is not None
    assert kind.read is not None
    kind.read(decoder, obj)
    return decoder.errors


def validate_policy(obj: Mapping[str, Any], *, strict: bool = True) -> list[FieldError]:
    """Everything that the server refuses in a NetworkPolicy, in its order; [] for a valid one."""
    decoder = Decoder(strict=strict)
    read_policy(decoder, obj)
    return decoder.errors
