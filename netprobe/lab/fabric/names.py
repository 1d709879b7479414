"""The cluster's DNS: from a state to the records of the zone cluster.local, and from a message to its answer.

Source: the specification of DNS for Services and Pods (kubernetes/dns, specification.md, version 1.1.0).
Where it leaves a choice, names are those of CoreDNS: an endpoint without a hostname is named by its address
with dashes, and a headless Service without endpoints does not exist. There are addresses and aliases only.

Imported at the first question: `dns` (dnspython), which does the wire format, takes a tenth of a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from netprobe.lab.fabric.services import addresses_of, by_service
from netprobe.lab.fabric.state import NetworkState
from netprobe.model.flow import Address
from netprobe.model.objects import ReadOnlyObject

APEX = "cluster.local"
_TTL_S = 5
_CHAIN = 8  # the longest chain of CNAMEs
_PLAIN_UDP = 512  # RFC 1035, without EDNS


class Record(NamedTuple):
    """`name` without the final dot; `data` as a zone file writes it."""

    name: str
    kind: str
    data: str


class Zone:
    """The names of a state. Their records are kept in lower case, without the final dot."""

    def __init__(self, state: NetworkState) -> None:
        self._records: defaultdict[str, dict[tuple[str, str], None]] = defaultdict(dict)
        self._add(APEX, "SOA", f"ns.dns.{APEX}. hostmaster.{APEX}. 1 7200 1800 86400 {_TTL_S}")
        for namespace in state.namespaces:
            self._exists(f"{namespace}.svc.{APEX}")
        slices = by_service(state.endpoint_slices)
        for service in state.services:
            metadata = service["metadata"]
            self._service(service, slices[metadata["namespace"], metadata["name"]])

    def respond(self, question: bytes, *, datagram: bool) -> bytes | None:
        """The answer to a message; None if the message is not a question.

        An answer to a `datagram` that is too long for the client is marked as truncated, so the client uses
        TCP.
        """
        try:
            query = dns.message.from_wire(question, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError):
            return None
        if query.flags & dns.flags.QR:
            return None
        answer = dns.message.make_response(query, recursion_available=True)
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            answer.set_rcode(dns.rcode.NOTIMP)
            return answer.to_wire()
        asked = query.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        try:
            self._fill(answer, name, dns.rdatatype.to_text(asked.rdtype))
        except (dns.exception.DNSException, ValueError):  # a name that DNS cannot express
            answer = dns.message.make_response(query, recursion_available=True)
            answer.set_rcode(dns.rcode.SERVFAIL)
        if not datagram:
            return answer.to_wire(max_size=65535)
        try:
            return answer.to_wire(max_size=max(query.payload if query.edns >= 0 else 0, _PLAIN_UDP))
        except dns.exception.TooBig:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return short.to_wire()

    def _fill(self, answer: dns.message.Message, name: str, kind: str) -> None:
        found = self.find(name, kind)
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if found or f".{name}".endswith(f".{APEX}"):
            answer.flags |= dns.flags.AA
            if not found:
                _add(answer, answer.authority, _only(self._of(APEX), "SOA"))
        _add(answer, answer.answer, found or ())

    def find(self, name: str, kind: str) -> Sequence[Record] | None:
        """The records of a kind that a name has; None if there is no such name."""
        if name not in self._records:
            return None
        found = self._of(name)
        if alias := _only(found, "CNAME"):
            return alias if kind == "CNAME" else self._follow(alias[0], kind)
        return _only(found, kind)

    def _follow(self, alias: Record, kind: str) -> Sequence[Record]:
        """An alias and the records that it leads to, as far as they are in the zone."""
        chain = [alias]
        while len(chain) < _CHAIN:
            found = self._of(chain[-1].data.rstrip(".").lower())
            if not (further := _only(found, "CNAME")):
                return [*chain, *_only(found, kind)]
            chain.append(further[0])
        return chain

    def _of(self, name: str) -> list[Record]:
        return [Record(name, kind, data) for kind, data in self._records.get(name, ())]

    def _add(self, name: str, kind: str, data: str) -> None:
        self._records[name.lower()][kind, data] = None
        self._exists(name.lower())

    def _exists(self, name: str) -> None:
        """A name exists, and so do the names above it, even without their own records."""
        while name != APEX:
            self._records.setdefault(name, {})
            name = name.partition(".")[2]

    def _service(self, service: ReadOnlyObject, slices: Iterable[ReadOnlyObject]) -> None:
        metadata, spec = service["metadata"], service["spec"]
        name = f"{metadata['name']}.{metadata['namespace']}.svc.{APEX}"
        if spec["type"] == "ExternalName":
            self._add(name, "CNAME", f"{spec['externalName'].rstrip('.')}.")
            return
        addresses = [text for text in spec.get("clusterIPs") or () if text != "None"]
        for text in addresses:
            self._reachable(name, ip_address(text))
        for slice_ in slices:
            version = {"IPv4": 4, "IPv6": 6}.get(slice_.get("addressType", ""), 0)
            for endpoint in slice_.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    for address in addresses_of(endpoint, version):
                        own = endpoint.get("hostname") or str(address).replace(".", "-").replace(":", "-")
                        self._reachable(f"{own}.{name}", address)
                        if not addresses:  # headless
                            self._reachable(name, address)

    def _reachable(self, name: str, address: Address) -> None:
        self._add(name, "A" if isinstance(address, IPv4Address) else "AAAA", str(address))


def _only(records: Iterable[Record], kind: str) -> list[Record]:
    return [record for record in records if kind in {record.kind, "ANY"}]


def _add(answer: dns.message.Message, section: list[dns.rrset.RRset], records: Iterable[Record]) -> None:
    for record in records:
        rrset = dns.rrset.from_text(f"{record.name}.", _TTL_S, "IN", record.kind, record.data)
        known = answer.find_rrset(section, rrset.name, rrset.rdclass, rrset.rdtype, create=True)
        for data in rrset:
            known.add(data, _TTL_S)
