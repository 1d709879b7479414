"""Names without a network: questions and answers as tables, messages as bytes."""

from __future__ import annotations

from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode

from netprobe.lab.fabric.names import Zone
from netprobe.lab.fabric.services import Services
from netprobe.lab.fabric.state import LabNode, NetworkState
from netprobe.model.objects import Object

HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}


def service(name: str, *addresses: str, **spec: Any) -> Object:
    spec = {
        "type": "ClusterIP",
        "ports": [HTTP],
        **({"clusterIPs": list(addresses)} if addresses else {}),
        **spec,
    }
    return {"metadata": {"namespace": "shop", "name": name}, "spec": spec}


def slice_(owner: str, *endpoints: Object, kind: str = "IPv4", ports: tuple[Object, ...] = (HTTP,)) -> Object:
    labels = {"kubernetes.io/service-name": owner}
    metadata = {"namespace": "shop", "name": f"{owner}-{kind}", "labels": labels}
    return {"metadata": metadata, "addressType": kind, "endpoints": list(endpoints), "ports": list(ports)}


def end(address: str, *, hostname: str | None = None, ready: bool | None = True) -> Object:
    named = {"hostname": hostname} if hostname else {}
    return {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}, **named}


ZONE = Zone(
    NetworkState(
        {"shop": {}, "empty": {}},
        {},
        [],
        [
            service("web", "10.96.0.7", "fd00:10:96::7"),
            service("names", "10.96.0.10", ports=[DNS, {**DNS, "name": "dns-tcp", "protocol": "TCP"}]),
            service("db", "None"),
            service("none", "None"),
            service("two", "None", ports=[]),
            service("away", type="ExternalName", externalName="example.com."),
            service("alias", type="ExternalName", externalName="web.shop.svc.cluster.local"),
            service("loop", type="ExternalName", externalName="loop.shop.svc.cluster.local"),
        ],
        [
            slice_("web", end("10.244.1.9")),
            slice_("db", end("10.244.1.1", hostname="db-0"), end("10.244.1.2", hostname="db-1", ready=None),
                   end("10.244.1.3", ready=False)),
            slice_("db", end("fd00::1", hostname="db-0"), kind="IPv6"),
            slice_("none", end("10.244.1.3", ready=False)),
            slice_("two", end("10.244.1.4"), ports=()),
        ],
    )
)  # fmt: skip
NAMES: list[tuple[str, str, str | None]] = [  # "": none of that kind; None: no such name
    ("web.shop.svc", "A", "10.96.0.7"),
    ("web.shop.svc", "AAAA", "fd00:10:96::7"),
    ("WEB.Shop.SVC", "A", "10.96.0.7"),
    ("web.shop.svc", "MX", ""),
    ("names.shop.svc", "AAAA", ""),
    ("10-244-1-9.web.shop.svc", "A", "10.244.1.9"),
    ("db.shop.svc", "A", "10.244.1.1 10.244.1.2"),
    ("db.shop.svc", "AAAA", "fd00::1"),
    ("db-0.db.shop.svc", "A", "10.244.1.1"),
    ("db-0.db.shop.svc", "AAAA", "fd00::1"),
    ("db-2.db.shop.svc", "A", None),
    ("10-244-1-3.db.shop.svc", "A", None),
    ("none.shop.svc", "A", None),
    ("10-244-1-4.two.shop.svc", "A", "10.244.1.4"),
    ("away.shop.svc", "A", "example.com."),
    ("away.shop.svc", "CNAME", "example.com."),
    ("alias.shop.svc", "A", "web.shop.svc.cluster.local. 10.96.0.7"),
    ("shop.svc", "A", ""),
    ("empty.svc", "A", ""),
    ("nowhere.svc", "A", None),
    ("svc", "A", ""),
    ("web.empty.svc", "A", None),
    ("web", "A", None),
]  # fmt: skip
OTHERS: list[tuple[str, str, str | None]] = [
    ("cluster.local", "SOA", "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5"),
    ("cluster.local", "A", ""),
    ("web.shop.svc.cluster.local.example.com", "A", None),
    ("notcluster.local", "A", None),
    ("example.com", "A", None),
]


def ask(
    name: str, kind: str, *, zone: Zone = ZONE, datagram: bool = True, **more: Any
) -> dns.message.Message:
    query = dns.message.make_query(name, kind, **more)
    answer = zone.respond(query.to_wire(), datagram=datagram)
    assert answer is not None
    message = dns.message.from_wire(answer)
    assert query.is_response(message)
    return message


def test_questions() -> None:
    for name, kind, wanted in [
        (f"{name}.cluster.local", kind, wanted) for name, kind, wanted in NAMES
    ] + OTHERS:
        message = ask(name, kind)
        assert message.rcode() == (dns.rcode.NXDOMAIN if wanted is None else dns.rcode.NOERROR), name
        found = [
            data.to_text() for rrset in message.answer for data in rrset
        ]  # fmt: skip
        if kind == "A" and "db.shop" in name:
            found.sort()  # several of a kind come in any order, so that load spreads
        assert found == ((wanted.split() if kind != "SOA" else [wanted]) if wanted else []), (name, kind)
        ours = name.lower().endswith(".cluster.local") or name == "cluster.local" or found
        assert bool(message.flags & dns.flags.AA) == bool(ours), name
        # The SOA, by which "no" may be remembered.
        assert bool(message.authority) == (bool(ours) and not found), name


def test_an_alias_that_leads_nowhere_ends() -> None:
    assert len(ask("loop.shop.svc.cluster.local", "A").answer) == 1


def test_what_does_not_fit_a_datagram_is_cut_and_whole_by_tcp() -> None:
    many = [end(f"10.244.2.{n}") for n in range(1, 200)]
    big = Zone(NetworkState({"shop": {}}, {}, [], [service("big", "None")], [slice_("big", *many)]))
    name = "big.shop.svc.cluster.local"
    short = ask(name, "A", zone=big)
    assert short.flags & dns.flags.TC
    assert not short.answer
    assert len(ask(name, "A", zone=big, datagram=False).answer[0]) == 199
    assert len(ask(name, "A", zone=big, use_edns=0, payload=4096).answer[0]) == 199


def test_what_somebody_wrote_into_a_slice_harms_nobody_else() -> None:
    bad: list[Object] = [
        slice_("web", {"addresses": ["not-an-address"]}, {"addresses": None}, {}, end("10.244.1.9")),
        slice_("web", {"addresses": ["example.com"]}, kind="FQDN"),
        slice_("web", end("10.244.1.8"), kind="IPv6"),
        slice_("db", end("10.244.1.1"), ports=({"name": "any"},)),
    ]
    services = [service("web", "10.96.0.7"), service("db", "None")]
    services.append(service("odd", type="ExternalName", externalName=f"{'x' * 64}.example.com"))
    zone = Zone(NetworkState({"shop": {}}, {}, [], services, bad))
    assert zone.find("10-244-1-9.web.shop.svc.cluster.local", "A")
    assert zone.find("db.shop.svc.cluster.local", "A")
    assert ask("odd.shop.svc.cluster.local", "A", zone=zone).rcode() == dns.rcode.SERVFAIL
    compiled = Services(services, bad).node(LabNode("n1", ()))
    assert [chain for chain in compiled.chains if chain.startswith("endpoint")] == [
        "endpoint/10.244.1.9/tcp/80"
    ]


def test_what_is_not_a_question_gets_no_answer() -> None:
    query = dns.message.make_query("cluster.local", "SOA")
    answer = dns.message.make_response(query).to_wire()
    for data in (b"", b"\0" * 11, b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 600, answer):
        assert ZONE.respond(data, datagram=True) is None
    query.set_opcode(dns.opcode.NOTIFY)
    other = ZONE.respond(query.to_wire(), datagram=True)
    assert other is not None
    assert dns.message.from_wire(other).rcode() == dns.rcode.NOTIMP
