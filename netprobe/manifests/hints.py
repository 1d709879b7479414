"""What the author of a refused field probably meant, as a sentence to add to the server's message.

The server's messages say what is wrong; a hint says what to write instead. There are three tables: for known
fields at the wrong level, for values of the wrong type, and for text that a field does not accept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from netprobe.manifests.excerpt import LazyPlaces
from netprobe.manifests.scalar import resolve
from netprobe.model.policy import Origin
from netprobe.policies import fields
from netprobe.policies.fields import FieldError

_STEP = re.compile(r"(?:([^.\[\]]+)|\[(\d+)\])\.?(.*)")
_SECTION = re.compile(r"spec\.(ingress|egress)\b")
_PORT_RANGE = re.compile(r"(\d+)\s*(?:-|:|\.\.)\s*(\d+)")


def hint_for(error: FieldError, obj: Mapping[str, Any], origin: Origin) -> str:
    """The sentence for an error in an object; "" if there is nothing to add."""
    path = error.at or error.path
    value = _value(obj, path)
    if error.type == fields.UNKNOWN:
        return _misplaced(path, value) or error.hint
    if error.type == fields.TYPE_INVALID:
        return _wrong_type(error, path, value, origin) or error.hint
    if isinstance(value, str) and "strict subset" not in error.message:
        return _unusual_text(path, value) or error.hint
    return error.hint


def _value(obj: Any, path: str) -> Any:
    """The value at a path; None if nothing is there. A label is a key with dots."""
    if not path:
        return obj
    if isinstance(obj, Mapping) and path in obj:
        return obj[path]
    step = _STEP.match(path)
    if step is None:
        return None
    if isinstance(obj, list):
        index = int(step[2] or len(obj))
        return _value(obj[index], step[3]) if index < len(obj) else None
    return _value(obj.get(step[1]), step[3]) if isinstance(obj, Mapping) else None


# Known fields at the wrong level.

_PEER = ("podSelector", "namespaceSelector", "ipBlock")
_SELECTOR = ("matchLabels", "matchExpressions")
_BLOCK = ("cidr", "except")
_PORT = ("port", "protocol", "endPort")
_A_RULE = re.compile(r"spec\.(ingress|egress)\[\d+\]$")
_A_PEER = re.compile(r"spec\.(ingress|egress)\[\d+\]\.(from|to)\[\d+\]$")
_ITS_PORT = re.compile(r"\.ports\[\d+\]$")
_A_SELECTOR = re.compile(r"Selector$")

_LEVELS: tuple[tuple[re.Pattern[str], tuple[str, ...], str], ...] = (
    (re.compile(r"^$"), ("podSelector", "ingress", "egress", "policyTypes"), "put it under `spec:`"),
    (re.compile(r"^$"), ("name", "namespace", "labels"), "put it under `metadata:`"),
    (re.compile(r"^spec$"), ("from", "ports"), "put it in a rule, under `ingress:`"),
    (re.compile(r"^spec$"), ("to",), "put it in a rule, under `egress:`"),
    (re.compile(r"^spec$"), _SELECTOR, "put it under `podSelector:`"),
    (_A_RULE, _PEER, "put it under `{peers}:`; without it, the rule {whom}"),
    (_A_RULE, _SELECTOR, "put it under `{peers}:`, in a selector; without it, the rule {whom}"),
    (_A_RULE, _BLOCK, "put it under `{peers}:`, in an `ipBlock:`; without it, the rule {whom}"),
    (_A_RULE, _PORT, "put it under `ports:`; without it, the rule is for every port"),
    (_A_RULE, ("from", "to"), "a rule of `{section}:` has `{peers}:` instead"),
    (_A_PEER, ("from", "to", "ports"), "this is a rule, not a peer: move it one level up, to `{section}:`"),
    (_A_PEER, _BLOCK, "put it under `ipBlock:`"),
    (_A_PEER, _PORT, "put it under `ports:` of the rule, next to `{peers}:`"),
    (_A_PEER, _SELECTOR, "put it under `podSelector:` or `namespaceSelector:`"),
    (
        _A_PEER,
        ("namespace", "namespaces"),
        "write `namespaceSelector:` with the label kubernetes.io/metadata.name",
    ),
    (_A_SELECTOR, _PEER, "put it next to the other selector, not in it"),
    (
        _ITS_PORT,
        ("targetPort", "containerPort", "nodePort", "name"),
        "write `port:`, with the pod's port or its name",
    ),
)
_LABEL = (
    (_A_PEER, "put it under `podSelector:` and `matchLabels:`"),
    (_A_SELECTOR, "put it under `matchLabels:`"),
)


def _misplaced(path: str, value: Any) -> str:
    """Where a field belongs that its parent does not have."""
    label = re.match(r"(.*(?:Selector|\]))\.(.+)", path)  # may have dots
    parent, _, key = (label[1], "", label[2]) if label else path.rpartition(".")
    section = _SECTION.match(path)
    is_ingress = section is not None and section[1] == "ingress"
    words = {
        "section": "ingress" if is_ingress else "egress",
        "peers": "from" if is_ingress else "to",
        "whom": "admits everyone" if is_ingress else "is for every destination",
    }
    for pattern, keys, hint in _LEVELS:
        if key in keys and pattern.search(parent):
            return hint.format_map(words)
    if isinstance(value, str):
        return next((hint for pattern, hint in _LABEL if pattern.search(parent)), "")
    return ""


# Values of the wrong type.


def _wrong_type(error: FieldError, path: str, value: Any, origin: Origin) -> str:
    if "must be a string" in error.message or "port's name" in error.message:
        return _unquoted(origin.places.written(path) if isinstance(origin.places, LazyPlaces) else None)
    if "must be a list" in error.message:
        return "begin each item with a dash" if isinstance(value, dict) else f"write [{value}]"
    if "must be a mapping" in error.message:
        hints = (hint for pattern, fits, hint in _MAPPINGS if pattern.search(path) and fits(value))
        return next(hints, "").format(value)
    return "remove the quotes" if isinstance(value, str) and isinstance(resolve(value), bool | int) else ""


def _unquoted(written: str | None) -> str:
    """Why text without quotes is not a string."""
    value = resolve(written) if written else None
    if written is None or value is None or isinstance(value, str):
        return ""
    return f"`{written}` is read as {str(value).lower() if isinstance(value, bool) else 'a number'}: quote it"


def _is_network(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(ip_network(value, strict=False))
    except ValueError:
        return False


def _lacks_space(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"[\w./-]+:[^\s/]", value) is not None


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_MAPPINGS: tuple[tuple[re.Pattern[str], Callable[[Any], bool], str], ...] = (
    (re.compile(""), _lacks_space, "missing space after the colon"),
    (re.compile(r"ipBlock$"), _is_network, "write {{cidr: {}}}"),
    (_A_PEER, _is_network, "write ipBlock: {{cidr: {}}}"),
    (_ITS_PORT, lambda value: isinstance(value, int | str), "write port: {}"),
    (re.compile(r"(matchLabels|labels)$"), _is_list, "labels are `key: value`, without a dash"),
    (re.compile(""), _is_list, "remove the dash"),
)


# Text that a field does not take.


def _block(text: str) -> str:
    address, slash, bits = text.partition("/")
    parts = [part for part in address.split(".") if part.isdigit()]
    if _is_network(text):
        plain = address if not slash else f"{address}/{ip_network(text, strict=False).prefixlen}"
        return f"write {plain}" if slash else f"add /{ip_address(text).max_prefixlen} for this one address"
    hint = ""
    if re.search(r"[,;\s]", text):
        hint = "write one item for each block"
    elif "*" in address or (not slash and 0 < len(parts) < 4 and re.fullmatch(r"[\d.]+", text)):
        hint = f"write {'.'.join([*parts, *['0'] * (4 - len(parts))])}/{8 * len(parts)}"
    elif re.fullmatch(r"[\d.:a-f]+-[\d.:a-f]+", text.lower()):
        hint = "write a range of addresses as one or more CIDR blocks"
    elif bits.isdigit() and _is_network(address):
        hint = f"a prefix of {address} has at most {ip_address(address).max_prefixlen} bits"
    elif re.search(r"[g-z]", text.lower()):
        hint = "an ipBlock takes addresses: NetworkPolicy does not know names"
    return hint


def _port(text: str) -> str:
    if text.isdigit():
        return "remove the quotes: text in quotes is the name of a port"
    if found := _PORT_RANGE.fullmatch(text):
        return f"use endPort: write port: {found[1]} and endPort: {found[2]}"
    if found := re.fullmatch(r"(\d+)/(tcp|udp|sctp)", text.lower()):
        return f"write port: {found[1]} and protocol: {found[2].upper()}"
    if re.fullmatch(r"\d+(\s*,\s*\d+)+", text):
        return "write one item of `ports:` for each port"
    return "leave out `port` for every port" if text.lower() in {"*", "any", "all"} else ""


def _protocol(text: str) -> str:
    if text.upper().startswith("ICMP"):
        return "NetworkPolicy has no rules for ICMP; network plugins decide about it themselves"
    if text.lower() in {"*", "any", "all"}:
        return "write one item for each protocol"
    return _spelling("TCP", "UDP", "SCTP")(text)


def _spelling(*words: str) -> Callable[[str], str]:
    by_letters = {word.lower(): word for word in words}
    return lambda text: f"write {by_letters[text.lower()]}" if text.lower() in by_letters else ""


_TEXTS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r"\.cidr$|\.except\[\d+\]$"), _block),
    (re.compile(r"\.port$"), _port),
    (re.compile(r"\.protocol$"), _protocol),
    (re.compile(r"\.policyTypes\[\d+\]$"), _spelling("Ingress", "Egress")),
    (re.compile(r"\.operator$"), _spelling("In", "NotIn", "Exists", "DoesNotExist")),
)


def _unusual_text(path: str, value: str) -> str:
    for pattern, hint in _TEXTS:
        if pattern.search(path):
            text = value.strip()
            return hint(text) or ("remove the space around it" if text != value else "")
    return ""
