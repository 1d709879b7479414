"""A CIDR with bits set behind its prefix: it means the whole network.

The API server accepts `192.0.2.7/24` and means 192.0.2.0/24; 10.0.0.0/0 is every address. Some tools refuse
such a block or take it for one host. The author's intent is unclear, so write the network as it is,
or /32 (IPv6: /128) for the one address.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: office, namespace: shop}
      spec:
        podSelector: {}
        ingress:
    -     - from: [{ipBlock: {cidr: 192.0.2.7/24}}]
    +     - from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.7/32]}}]
            ports: [{port: 443}]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule
from netprobe.lint.view import View
from netprobe.model.policy import IPBlock, Network
from netprobe.policies.address import parse_address, parse_block

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located, index, _ in view.all_peers(IPBlock):
        for path, text in _written(view, located, index):
            network, address = _meaning(text), text.partition("/")[0]
            if network is not None:
                yield Finding.about(
                    located.policy,
                    f"{located.peer_path(index)}.ipBlock.{path}",
                    f"{text} means {network}",
                    suggestion=f"write {network}, or {address}/{network.max_prefixlen} for the one address",
                )


def _written(view: View, located: LocatedRule, index: int) -> Iterator[tuple[str, str]]:
    """The blocks of a peer as the manifest has them: (path in the ipBlock, text)."""
    peer = view.written(located, located.list_name, index)
    block = peer.get("ipBlock") if isinstance(peer, Mapping) else None
    if not isinstance(block, Mapping):
        return
    yield "cidr", str(block.get("cidr"))
    for number, text in enumerate(block.get("except") or ()):
        yield f"except[{number}]", str(text)


def _meaning(text: str) -> Network | None:
    """The network of a block whose address is not that of the network."""
    block, address = parse_block(text), parse_address(text.partition("/")[0])
    if block is None or address == block.network.network_address:
        return None
    return block.network
