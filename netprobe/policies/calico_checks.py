"""What is wrong with an object of Calico, and who would object.

The same object is checked in three places (Calico v3.32):

- its CRD, or the decoder of the API server: whatever the group, such an object cannot exist;
- Calico's API server, for `projectcalico.org/v3` only (libcalico-go/lib/validator/v3);
- Felix, the agent on each node, which ignores a policy that it cannot use, or a part of it
  (libcalico-go/lib/validator/v1). A `crd.projectcalico.org/v1` object reaches it unchecked.

From a file, each is an error: nobody wants a policy that Felix ignores. A live object is read as Felix treats
it, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.model.expression import ALL, Expression
from netprobe.policies import fields
from netprobe.policies.calico_selector import GLOBAL, SelectorError, parse_selector, uses_global
from netprobe.policies.fields import Decoder, FieldError

V3_GROUP = "projectcalico.org"

_DEFAULTED = frozenset(("tier", "stagedAction", "defaultAction"))
GLOBAL_ELSEWHERE = f"{GLOBAL} can only be used in the namespaceSelector of a source or destination"


@dataclass(slots=True)
class Checks:
    """Collects in `decoder` what is wrong with one object. `ignored`: Felix ignores all of it."""

    decoder: Decoder
    v3: bool
    ignored: bool = False

    @classmethod
    def of(cls, decoder: Decoder, obj: Mapping[str, Any]) -> Checks:
        return cls(decoder, str(obj.get("apiVersion", "")).startswith(f"{V3_GROUP}/"))

    def spec(self, root: Mapping[str, Any], known: frozenset[str] | tuple[str, ...]) -> Mapping[str, Any]:
        """The object's `spec`. In a custom resource null is no value, unless the field has a default."""
        spec = self.decoder.mapping(root.get("spec"), "spec", known)
        if not self.v3:
            for path in _nulls(spec, "spec"):
                self.refuse(fields.invalid(path, None, "null is not allowed: leave the field out"))
        return spec

    def refuse(self, error: FieldError) -> None:
        """The object cannot exist."""
        self.decoder.errors.append(error)

    def refuse_v3(self, error: FieldError) -> None:
        """Calico's API server refuses the object; Felix would accept it."""
        if self.v3 and self.decoder.strict:
            self.decoder.errors.append(error)

    def ignore(self, error: FieldError) -> None:
        """Felix ignores the whole object."""
        self.skip(error, "Calico ignores the whole object")
        self.ignored = True

    def skip(self, error: FieldError, consequence: str) -> None:
        """Felix ignores a part of the object."""
        if self.decoder.strict:
            self.decoder.errors.append(error)
        else:
            message = f"{error.message} ({consequence})"
            self.decoder.warnings.append(FieldError(error.path, message, error.type, error.at))

    def warn(self, path: str, message: str) -> None:
        self.decoder.warnings.append(FieldError(path, message, ""))

    def selector(
        self,
        parent: Mapping[str, Any],
        key: str,
        path: str,
        *,
        everything: Expression = ALL,
        nowhere: Expression | None = None,
        optional: bool = False,
    ) -> Expression | None:
        """The selector in a field; None if it is absent or empty.

        `nowhere` None: `global()` is refused. `optional`: Felix goes on without a selector that is wrong.
        """
        text = self.decoder.string(parent, key, path)
        if not text:
            return None
        where = fields.child(path, key)
        try:
            if nowhere is None and uses_global(text):
                self.refuse_v3(fields.invalid(where, text, GLOBAL_ELSEWHERE))
            return parse_selector(text, everything=everything, nowhere=nowhere or ALL)
        except SelectorError as error:
            problem = fields.invalid(where, text, str(error))
            if optional:
                self.skip(problem, "Calico goes on without it")
            else:
                self.ignore(problem)
            return None


def _nulls(value: Any, path: str) -> Iterator[str]:
    """The paths of nulls inside a value."""
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if item is not None or key not in _DEFAULTED:
                yield from _nulls(item, fields.child(path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nulls(item, f"{path}[{index}]")


def one_of(checks: Checks, value: str, path: str, allowed: tuple[str, ...]) -> bool:
    """Whether a value is one of an enumeration of the CRD; the error suggests another case of letters."""
    if value in allowed:
        return True
    error = fields.not_supported(path, value, allowed)
    near = next((word for word in allowed if word.lower() == value.lower()), None)
    hint = f"did you mean {near}?" if near else ""
    checks.refuse(FieldError(error.path, error.message, error.type, error.path, hint))
    return False
