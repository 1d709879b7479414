"""The names of container images."""

from __future__ import annotations


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
