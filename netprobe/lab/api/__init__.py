"""The lab's Kubernetes-compatible face: `serve` is all that the rest of the lab needs."""

from netprobe.lab.api.server import Server, serve

__all__ = ["Server", "serve"]
