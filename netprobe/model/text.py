"""How names, lists, paths and images are written."""

from __future__ import annotations

from collections.abc import Iterable


def plain(text: str) -> str:
    """Control characters, direction marks and unpaired surrogates as `\\x1b`, `\\u202e`: visible, inert."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _code(ord(c)) for c in text)


def _code(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def listed(items: Iterable[object], most: int = 3) -> str:
    """The first `most` items and how many there are besides: "a", "a and b", "a, b and 3 more".

    Exactly one item too many is written out, since "and 1 more" is no shorter. Empty: "".
    """
    texts = [str(item) for item in items]
    if len(texts) > most + 1:
        return f"{', '.join(texts[:most])} and {len(texts) - most:,} more"
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def dotted(path: Iterable[int | str]) -> str:
    """Steps into an object as one path: "spec.ingress[0].from[1]".

    Without "[key]", by which pydantic says that a key is wrong and not its value.
    """
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path if step != "[key]")
    return "".join(steps).removeprefix(".")


def mirrored(image: str, registry: str | None) -> str:
    """The name of an image in a mirror: its host is replaced by `registry` ("host[:port][/prefix]").

    A name without a host is Docker Hub's: "calico/node" keeps all of it, "alpine:3.20" is library/'s. Without
    a registry the name does not change.
    """
    if registry is None:
        return image
    host, slash, rest = image.partition("/")
    if not slash:
        rest = f"library/{image}"
    elif not ("." in host or ":" in host or host == "localhost"):
        rest = image
    return f"{registry.rstrip('/')}/{rest}"
