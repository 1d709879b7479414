"""What the doctor reports: one check for each subject, and how it follows from what was observed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from netprobe.doctor.deny_all import DenyAllResult
from netprobe.doctor.pods import NAME, ClockSkew, PodFacts, PodPair, PodPath
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.model.text import listed
from netprobe.probe.netcat import Answer
from netprobe.probe.permission import Permission, grant
from netprobe.probe.plan import Station


class CheckStatus(Enum):
    """NOTE does not count as a problem; UNKNOWN: could not be determined."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One subject. `evidence` says what was seen; `hint` what to do about a problem."""

    name: str
    status: CheckStatus
    evidence: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, in the order in which they are reported.

    `user` is the user of the credentials, None if the server does not say; `lacking` are permissions that
    a run in its own namespaces needs and these credentials lack.
    """

    server: str
    checks: Sequence[Check]
    user: str | None = None
    lacking: Sequence[Permission] = ()

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    def remedy(self) -> list[Object]:
        """A ClusterRole and its binding that grant the missing permissions."""
        return grant(self.lacking, self.user or "NAME-OF-THE-USER", "netprobe-missing")

    @property
    def exit_status(self) -> int:
        """1: something is wrong. 3: something could not be determined. Else 0."""
        found = {check.status for check in self.checks}
        if CheckStatus.FAILED in found:
            return 1
        return 3 if CheckStatus.UNKNOWN in found else 0


SKEW_NOTE_S: Final = 1.0
SKEW_FAILED_S: Final = 10.0
"""Half the duration of a run's Lease: with more skew, runs from elsewhere look dead too early."""

PLUGIN: Final = (
    "policies are accepted and have no effect here: install a network plugin that enforces them (Calico, "
    "Cilium, Antrea, ...), or enable enforcement in the one that is there"
)


def deciding(paths: Mapping[PodPath, str]) -> str:
    """The policies that decide the paths, each once."""
    return ", ".join(dict.fromkeys(paths.values()))


def networks(answers: Mapping[PodPath, Answer], closed: Mapping[PodPath, str]) -> list[Check]:
    """Whether pods reach each other while nothing forbids it, on one node and between two.

    `closed`: paths that the cluster's own policies forbid, with what decides.
    """
    agent = "look at the network plugin's agent on that node"
    fabric = "packets between nodes are lost: the overlay's port, a firewall between nodes, or routes"
    checks = []
    for name, crosses, hint, reason in (
        ("pod to pod", False, agent, "no two pods are on one node"),
        ("node to node", True, fabric, "the pods are on one node"),
    ):
        tried = {path: answer for path, answer in answers.items() if path.crosses_nodes == crosses}
        forbidden = any(path.crosses_nodes == crosses for path in closed)
        missing = f"not tried: {'every path is closed' if forbidden else reason}"
        checks.append(_network(name, tried, hint) if tried else Check(name, CheckStatus.NOTE, missing))
    return checks


def _network(name: str, answers: Mapping[PodPath, Answer], hint: str) -> Check:
    good = [path for path, answer in answers.items() if answer.outcome is Outcome.CONNECTED]
    bad = {path: answer for path, answer in answers.items() if path not in good}
    if not bad:
        return Check(name, CheckStatus.OK, f"all {len(good)} paths connect: {_kinds(good)}")
    failures = "; ".join(f"{path}: {_outcome(answer)}" for path, answer in list(bad.items())[:3])
    if all(answer.outcome is Outcome.EXEC_FAILED for answer in bad.values()):
        return Check(name, CheckStatus.UNKNOWN, f"{len(bad)} of {len(answers)} paths not tried: {failures}")
    return Check(
        name, CheckStatus.FAILED, f"{len(bad)} of {len(answers)} paths do not connect: {failures}", hint
    )


def enforcement(result: DenyAllResult, kind: str = "", closing: str = "") -> Check:
    """Whether a deny-all for one direction was enforced, everywhere, and only as long as it was there.

    `kind`: that of the policy, if it is not NetworkPolicy. `closing`: the cluster's own policies that close
    paths between the probe pods.
    """
    name, tried = kind or result.direction.value, result.tried
    if not tried and closing:
        evidence = f"no path connects, because of {closing}, so enforcement cannot be observed"
        return Check(name, CheckStatus.UNKNOWN, evidence, _exempt(closing))
    if not tried:
        return Check(
            name, CheckStatus.UNKNOWN, "no path connects without a policy, so enforcement cannot be observed"
        )
    if fault := _fault(result):
        return Check(name, CheckStatus.FAILED, *fault)
    if result.unknown:
        path, reason = next(iter(result.unknown.items()))
        evidence = f"{len(result.unknown)} of {tried} paths not proven closed, such as {path}: {reason}"
        return Check(name, CheckStatus.UNKNOWN, evidence, "try again when the cluster is quiet")
    evidence = (
        f"enforced: a deny-all closed all {tried} paths within {max(result.stopped.values()):.1f} s "
        f"({_kinds(result.stopped)}); they opened again when it was deleted"
    )
    return Check(name, CheckStatus.OK, evidence)


def _exempt(closing: str) -> str:
    """What to do about policies of the cluster that close everything."""
    return f"exempt namespaces with the label netprobe.dev/run from {closing}, then run doctor again"


def _fault(result: DenyAllResult) -> tuple[str, str] | None:
    """What is wrong with the enforcement, and what to do about it."""
    tried, after = result.tried, f"{result.waited_s:.0f} s after a deny-all"
    if len(result.open) == tried:
        return f"NOT ENFORCED: {after} all {tried} paths still connect", PLUGIN
    if result.open and (family := _family_left_out(result)):
        return (
            f"NOT ENFORCED over IPv{family}: {after} all {len(result.open)} of its paths still connect",
            f"enable IPv{family} in the network plugin: some ignore policies for it by default",
        )
    if result.open:
        return (
            f"NOT ENFORCED everywhere: {after} {len(result.open)} of {tried} connect: {listed(result.open)}",
            f"look at the network plugin's agent on {listed(_suspects(result))}",
        )
    if result.collateral:
        return (
            f"a deny-all also closes paths that it does not deny: {listed(result.collateral)}",
            "replies to allowed connections must pass: a fault of the network plugin",
        )
    if result.lingering:
        return (
            f"{len(result.lingering)} of {tried} paths stay closed after it: {listed(result.lingering)}",
            "the network plugin keeps stale rules: look at its agent on that node",
        )
    return None


def _family_left_out(result: DenyAllResult) -> int | None:
    """The address family in which nothing was closed, if everything in the other one was."""
    families = {path.family for path in result.open}
    closed = {path.family for path in result.stopped}
    return families.pop() if len(families) == 1 and closed and families.isdisjoint(closed) else None


def _suspects(result: DenyAllResult) -> list[str]:
    """The nodes at the enforcing end of the open paths."""
    ends = (p.to if result.direction.value == "ingress" else p.source for p in result.open)
    return sorted({station.node or "the node" for station in ends})


def host_network(result: DenyAllResult, failure: str | None, before: Mapping[PodPath, Answer]) -> Check:
    """What a policy does to a pod in its node's network: reported, never judged."""
    name = "host network"
    if failure is not None:
        return Check(name, CheckStatus.NOTE, f"not tried: {failure}")
    if not result.stopped:
        return Check(name, CheckStatus.NOTE, "not known, because no pod can be isolated: see ingress")
    found: dict[str, list[str]] = {}
    for path, after in result.observed.items():
        if before[path].outcome is not Outcome.CONNECTED:
            word = f"never connected ({_outcome(before[path])})"
        else:
            word = "passes" if after.outcome is Outcome.CONNECTED else "is denied"
        found.setdefault(f"{path.where} {word}", []).append(path.target.protocol.value)
    evidence = "; ".join(f"{what} ({', '.join(dict.fromkeys(kinds))})" for what, kinds in found.items())
    return Check(
        name, CheckStatus.OK, f"from a pod with hostNetwork to pods that a deny-all isolates: {evidence}"
    )


def dns(answers: Mapping[Station, Answer], closed: Mapping[PodPath, str]) -> Check:
    """Whether names resolve in pods.

    `closed`: paths that the cluster's own policies forbid, with what decides; that may close DNS as well.
    """
    name = "DNS"
    lost = {s: a for s, a in answers.items() if a.outcome is Outcome.NO_SUCH_NAME}
    failed = {s: a for s, a in answers.items() if a.outcome is Outcome.EXEC_FAILED}
    if lost or failed:
        where = ", ".join(f"on {s.node}: {_outcome(a)}" for s, a in [*lost.items(), *failed.items()][:3])
        evidence = f"{NAME.host} does not resolve in pods {where}"
        if closed:
            closing = deciding(closed)
            evidence += f"; {closing} may be the reason"
            return Check(name, CheckStatus.UNKNOWN, evidence, _exempt(closing))
        return Check(
            name,
            CheckStatus.FAILED if lost else CheckStatus.UNKNOWN,
            evidence,
            "kubectl -n kube-system get pods -l k8s-app=kube-dns; rows by DNS name will be unknown",
        )
    refused = {s: a for s, a in answers.items() if a.outcome is not Outcome.CONNECTED}
    if refused:
        station, answer = next(iter(refused.items()))
        evidence = (
            f"{NAME.host} resolves; its port 443 does not connect on {station.node}: {_outcome(answer)}"
        )
        return Check(
            name,
            CheckStatus.NOTE,
            evidence,
            "harmless if pods need no API server, as on a lab; else check kube-proxy",
        )
    return Check(name, CheckStatus.OK, f"{NAME.host} resolves in pods and connects by its Service")


def families(pairs: Sequence[PodPair]) -> Check:
    """Which address families pods get."""
    seen = {
        frozenset(a.version for a in station.addresses)
        for pair in pairs
        for station in (pair.client, pair.server)
    }
    words = {frozenset({4}): "IPv4 only", frozenset({6}): "IPv6 only", frozenset({4, 6}): "IPv4 and IPv6"}
    name = "address families"
    if len(seen) != 1:
        mixed = "; ".join(sorted(words.get(one, "none") for one in seen))
        return Check(name, CheckStatus.NOTE, f"pods differ: {mixed}", "rows of one family may be unknown")
    (one,) = seen
    example = pairs[0].server
    return Check(
        name, CheckStatus.OK, f"{words.get(one, 'none')}, as {' and '.join(map(str, example.addresses))}"
    )


def sctp(inside: Mapping[Station, PodFacts]) -> Check:
    """Whether the kernels support SCTP; enforcement is not tried, because nc does not support it."""
    have = sorted({s.node or "a node" for s, i in inside.items() if i.sctp})
    lack = sorted({s.node or "a node" for s, i in inside.items() if i.sctp is False})
    found = []
    if have:
        found.append(f"the kernel supports it on {listed(have)}")
    if lack:
        found.append(f"/proc/net/protocols does not list it on {listed(lack)}: not loaded, or not available")
    evidence = "; ".join(found) or "no pod answered"
    return Check("SCTP", CheckStatus.NOTE, f"{evidence}. Rows with SCTP are skipped: nc does not support it")


def clocks(server: ClockSkew | None, inside: Mapping[Station, PodFacts]) -> Check:
    """How far the clocks of API server and nodes are from this machine's."""
    name = "clocks"
    skews = {"API server": server} | {s.node or s.pod: i.skew for s, i in inside.items()}
    known = {who: skew for who, skew in skews.items() if skew is not None}
    silent = [who for who in skews if who not in known]
    skews_text = ", ".join(f"{who} {_skew(skew)}" for who, skew in known.items())
    evidence = f"compared with this machine: {skews_text}" if known else "no clock could be read"
    if silent:
        evidence += f"; not read from {listed(silent)}"
    worst = max((abs(skew.least) for skew in known.values()), default=0.0)
    hint = "synchronise all clocks (NTP): certificates, tokens and Leases depend on them"
    if worst > SKEW_FAILED_S:
        return Check(name, CheckStatus.FAILED, evidence, hint)
    if worst > SKEW_NOTE_S or silent:
        return Check(name, CheckStatus.NOTE, evidence, hint if worst > SKEW_NOTE_S else None)
    return Check(name, CheckStatus.OK, evidence)


def _skew(skew: ClockSkew) -> str:
    middle, spread = (skew.low + skew.high) / 2, (skew.high - skew.low) / 2
    if not skew.least:
        return f"agrees to {max(abs(skew.low), abs(skew.high)):.1f} s"
    return f"{middle:+.1f} s (±{spread:.1f})"


def _kinds(paths: Collection[PodPath]) -> str:
    """ "n1, n2; TCP, UDP; IPv4"."""
    nodes = sorted({station.node or "?" for path in paths for station in (path.source, path.to)})
    protocols = sorted({path.target.protocol.value for path in paths})
    versions = sorted({f"IPv{path.family}" for path in paths})
    return "; ".join((listed(nodes), ", ".join(protocols), ", ".join(versions)))


def _outcome(answer: Answer) -> str:
    words = answer.outcome.value.replace("_", " ")
    return f"{words} ({answer.text})" if answer.text and answer.outcome is Outcome.EXEC_FAILED else words
