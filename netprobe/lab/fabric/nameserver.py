"""DNS messages for the cluster's names; `dns` (dnspython) does the wire format.

Imported at the first question, so that most labs start faster.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from netprobe.lab.fabric.zone import TTL_S, DnsAnswer, Record, Zone

_PLAIN_UDP = 512  # RFC 1035, without EDNS


def respond(question: bytes, zone: Zone, *, datagram: bool) -> bytes | None:
    """The answer to a message; None if the message is not a question.

    An answer to a `datagram` that is too long for the client is marked as truncated, so the client uses TCP.
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
        _fill(answer, zone.find(name, dns.rdatatype.to_text(asked.rdtype)), zone)
    except (
        dns.exception.DNSException,
        ValueError,
    ):  # a name that DNS cannot express, such as some ExternalNames
        answer = dns.message.make_response(query, recursion_available=True)
        answer.set_rcode(dns.rcode.SERVFAIL)
    if not datagram:
        return answer.to_wire(max_size=65535)
    most = max(query.payload, _PLAIN_UDP) if query.edns >= 0 else _PLAIN_UDP
    try:
        return answer.to_wire(max_size=most)
    except dns.exception.TooBig:
        short = dns.message.make_response(query, recursion_available=True)
        short.flags |= dns.flags.TC
        return short.to_wire()


def _fill(answer: dns.message.Message, found: DnsAnswer, zone: Zone) -> None:
    if found.inside:
        answer.flags |= dns.flags.AA
    if not found.exists:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    _add(answer, answer.answer, found.records)
    _add(answer, answer.additional, found.extra)
    if found.inside and not found.records:
        _add(answer, answer.authority, [zone.authority])


def _add(
    answer: dns.message.Message, section: list[dns.rrset.RRset], records: tuple[Record, ...] | list[Record]
) -> None:
    for record in records:
        rrset = dns.rrset.from_text(f"{record.name}.", TTL_S, "IN", record.kind, record.data)
        known = answer.find_rrset(section, rrset.name, rrset.rdclass, rrset.rdtype, create=True)
        for data in rrset:
            known.add(data, TTL_S)
