"""The names of a cluster: from a state to the records of the zone cluster.local.

Source: the specification of DNS for Services and Pods (kubernetes/dns, specification.md, version 1.1.0).
Where it leaves a choice, names are those of CoreDNS: an endpoint without a hostname is named by its address
with dashes, so is a pod ("pods insecure"), and a headless Service without endpoints does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from netprobe.lab.fabric.services import SERVICE_NAME, addresses_of
from netprobe.lab.fabric.state import NetworkState
from netprobe.model.flow import Address
from netprobe.model.objects import ReadOnlyObject

APEX = "cluster.local"
TTL_S = 5
_SRV = "0 100"  # priority and weight
_CHAIN = 8  # the longest chain of CNAMEs


@dataclass(frozen=True, slots=True)
class Record:
    """`name` without the final dot; `data` as a zone file writes it."""

    name: str
    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """`exists` False is NXDOMAIN. `extra`: addresses of names in records. `inside`: of our own zone."""

    exists: bool
    records: tuple[Record, ...] = ()
    extra: tuple[Record, ...] = ()
    inside: bool = True


class Zone:
    """`find` answers questions; names are in lower case, without the final dot."""

    def __init__(self, state: NetworkState) -> None:
        self._namespaces = frozenset(state.namespaces)
        self._records: defaultdict[str, dict[tuple[str, str], None]] = defaultdict(dict)
        self._add(APEX, "NS", f"ns.dns.{APEX}.")
        self._add(APEX, "SOA", f"ns.dns.{APEX}. hostmaster.{APEX}. 1 7200 1800 86400 {TTL_S}")
        self._add(f"dns-version.{APEX}", "TXT", '"1.1.0"')
        for namespace in self._namespaces:
            self._exists(f"{namespace}.svc.{APEX}")
            self._exists(f"{namespace}.pod.{APEX}")
        slices: defaultdict[tuple[str, str | None], list[ReadOnlyObject]] = defaultdict(list)
        for slice_ in state.endpoint_slices:
            metadata = slice_["metadata"]
            slices[metadata["namespace"], (metadata.get("labels") or {}).get(SERVICE_NAME)].append(slice_)
        for service in state.services:
            metadata = service["metadata"]
            self._service(service, slices[metadata["namespace"], metadata["name"]])

    @property
    def authority(self) -> Record:
        """The record that comes with "no such name" and "no such record"."""
        return next(r for r in self._of(APEX) if r.kind == "SOA")

    def find(self, name: str, kind: str) -> DnsAnswer:
        if name.endswith((".in-addr.arpa", ".ip6.arpa")):
            found = self._of(name)
            return DnsAnswer(bool(found), _only(found, kind), inside=bool(found))
        if name != APEX and not name.endswith(f".{APEX}"):
            return DnsAnswer(exists=False, inside=False)
        if address := self._pod(name):
            found = (_address_record(name, address),)
            return DnsAnswer(True, _only(found, kind))
        if name not in self._records:
            return DnsAnswer(exists=False)
        found = self._of(name)
        records = _only(found, kind)
        if alias := _only(found, "CNAME"):
            records = alias if kind == "CNAME" else self._follow(alias[0], kind)
        extra = tuple(
            address
            for record in records
            if record.kind == "SRV"
            for address in self._of(record.data.rpartition(" ")[2].rstrip("."))
            if address.kind in {"A", "AAAA"}
        )
        return DnsAnswer(True, records, extra)

    def _follow(self, alias: Record, kind: str) -> tuple[Record, ...]:
        """An alias and the records that it leads to, as far as they are in the zone."""
        chain = [alias]
        while len(chain) < _CHAIN:
            found = self._of(chain[-1].data.rstrip(".").lower())
            if not (further := _only(found, "CNAME")):
                return (*chain, *_only(found, kind))
            chain.append(further[0])
        return tuple(chain)

    def _of(self, name: str) -> tuple[Record, ...]:
        return tuple(Record(name, kind, data) for kind, data in self._records.get(name, ()))

    def _add(self, name: str, kind: str, data: str) -> None:
        name = name.lower()
        self._records[name][kind, data] = None
        if name.endswith(APEX):
            self._exists(name)

    def _exists(self, name: str) -> None:
        """A name exists, and so do the names above it, even without records of their own."""
        while name != APEX:
            self._records.setdefault(name, {})
            name = name.partition(".")[2]

    def _pod(self, name: str) -> Address | None:
        """10-244-1-3.NAMESPACE.pod.cluster.local"""
        labels = name.removesuffix(f".{APEX}").split(".")
        if len(labels) != 3 or labels[2] != "pod" or labels[1] not in self._namespaces:
            return None
        for text in (labels[0].replace("-", "."), labels[0].replace("-", ":")):
            try:
                return ip_address(text)
            except ValueError:
                continue
        return None

    def _service(self, service: ReadOnlyObject, slices: Iterable[ReadOnlyObject]) -> None:
        metadata, spec = service["metadata"], service["spec"]
        name = f"{metadata['name']}.{metadata['namespace']}.svc.{APEX}"
        if spec["type"] == "ExternalName":
            self._add(name, "CNAME", f"{spec['externalName'].rstrip('.')}.")
            return
        addresses = [text for text in spec.get("clusterIPs") or () if text != "None"]
        for text in addresses:
            self._reachable(name, ip_address(text))
            for port in spec.get("ports") or ():
                self._port(name, port, name)
        for slice_ in slices:
            version = {"IPv4": 4, "IPv6": 6}.get(slice_.get("addressType", ""), 0)
            for endpoint in slice_.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    ends = addresses_of(endpoint, version)
                    self._endpoint(name, slice_, ends, endpoint.get("hostname"), headless=not addresses)

    def _endpoint(
        self,
        name: str,
        slice_: ReadOnlyObject,
        addresses: Iterable[Address],
        hostname: str | None,
        *,
        headless: bool,
    ) -> None:
        for address in addresses:
            own = f"{hostname or str(address).replace('.', '-').replace(':', '-')}.{name}"
            self._reachable(own, address)
            if headless:
                self._reachable(name, address, reverse=False)
                for port in slice_.get("ports") or ():
                    self._port(name, port, own)

    def _reachable(self, name: str, address: Address, *, reverse: bool = True) -> None:
        record = _address_record(name, address)
        self._add(name, record.kind, record.data)
        if reverse:
            self._add(address.reverse_pointer, "PTR", f"{name}.")

    def _port(self, name: str, port: ReadOnlyObject, target: str) -> None:
        if not isinstance(port.get("port"), int):
            return
        data = f"{_SRV} {port['port']} {target}."
        self._add(name, "SRV", data)
        if port.get("name"):
            self._add(f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{name}", "SRV", data)


def _address_record(name: str, address: Address) -> Record:
    return Record(name, "A" if isinstance(address, IPv4Address) else "AAAA", str(address))


def _only(records: Iterable[Record], kind: str) -> tuple[Record, ...]:
    return tuple(record for record in records if kind in {record.kind, "ANY"})


class ClusterNames:
    """The cluster's DNS: set `state` after each change; `respond` answers by the newest state."""

    def __init__(self) -> None:
        self.state = NetworkState({}, {}, [])
        self._zone: tuple[NetworkState, Zone] | None = None

    def respond(self, question: bytes, datagram: bool) -> bytes | None:
        """Implements listeners.Respond."""
        from netprobe.lab.fabric import nameserver  # takes a tenth of a second, and many labs never need it

        if self._zone is None or self._zone[0] is not self.state:
            self._zone = self.state, Zone(self.state)
        return nameserver.respond(question, self._zone[1], datagram=datagram)
