"""What the readers of policy kinds refuse."""

from __future__ import annotations

from netprobe.model.objects import Object
from netprobe.policies.fields import Decoder, FieldError
from netprobe.policies.kinds import kind_of


def refused(obj: Object) -> list[FieldError]:
    """The errors of an object of a policy kind that a file has."""
    kind, decoder = kind_of(obj["apiVersion"], obj["kind"]), Decoder(strict=True)
    assert kind is not None
    assert kind.read is not None
    kind.read(decoder, obj)
    return decoder.errors
