"""From what was seen to one line a subject. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from netprobe.doctor.api_checks import names as listed
from netprobe.doctor.check import Check, Status
from netprobe.doctor.deny_all import Trial
from netprobe.doctor.pod_facts import NAME, Inside, Skew
from netprobe.doctor.pod_pairs import Pair, Path
from netprobe.model.observation import Outcome
from netprobe.probe.netcat import Answer
from netprobe.probe.plan import Station

SKEW_NOTE_S: Final = 1.0
SKEW_FAILED_S: Final = 10.0
"""Half of what a run's Lease lasts: from there on, runs from elsewhere look dead too early."""

PLUGIN: Final = (
    "policies are accepted and have no effect here: install a network plugin that enforces them (Calico, "
    "Cilium, Antrea, ...), or enable enforcement in the one that is there"
)


def networks(answers: Mapping[Path, Answer]) -> list[Check]:
    """Whether pods reach each other while nothing forbids it, on one node and between two."""
    within = {path: answer for path, answer in answers.items() if not path.crosses_nodes}
    between = {path: answer for path, answer in answers.items() if path.crosses_nodes}
    checks = [_network("pod to pod", within, "look at the network plugin's agent on that node")]
    if between:
        hint = "packets between nodes are lost: the overlay's port, a firewall between nodes, or routes"
        checks.append(_network("node to node", between, hint))
    else:
        checks.append(Check("node to node", Status.NOTE, "not tried: the pods are on one node"))
    return checks


def _network(name: str, answers: Mapping[Path, Answer], hint: str) -> Check:
    if not answers:
        return Check(name, Status.NOTE, "not tried: no two pods are on one node")
    good = [path for path, answer in answers.items() if answer.outcome is Outcome.CONNECTED]
    bad = {path: answer for path, answer in answers.items() if path not in good}
    if not bad:
        return Check(name, Status.OK, f"all {len(good)} paths connect: {_kinds(good)}")
    said = "; ".join(f"{path}: {_said(answer)}" for path, answer in list(bad.items())[:3])
    if all(answer.outcome is Outcome.EXEC_FAILED for answer in bad.values()):
        return Check(name, Status.UNKNOWN, f"{len(bad)} of {len(answers)} paths not tried: {said}")
    return Check(name, Status.FAILED, f"{len(bad)} of {len(answers)} paths do not connect: {said}", hint)


def enforcement(trial: Trial) -> Check:
    """Whether a deny-all for one direction was enforced, everywhere, and only as long as it was there."""
    name, tried = trial.direction.value, trial.tried
    if not tried:
        return Check(
            name, Status.UNKNOWN, "no path connects without a policy, so none can be seen to be shut"
        )
    if fault := _fault(trial):
        return Check(name, Status.FAILED, *fault)
    if trial.unknown:
        path, reason = next(iter(trial.unknown.items()))
        evidence = f"{len(trial.unknown)} of {tried} paths not proven shut, as {path}: {reason}"
        return Check(name, Status.UNKNOWN, evidence, "try again when the cluster is quiet")
    evidence = (
        f"enforced: a deny-all shut all {tried} paths within {max(trial.stopped.values()):.1f} s "
        f"({_kinds(trial.stopped)}); deleted, they opened again"
    )
    return Check(name, Status.OK, evidence)


def _fault(trial: Trial) -> tuple[str, str] | None:
    """What is wrong with the enforcement, and what to do about it."""
    tried, after = trial.tried, f"{trial.waited_s:.0f} s after a deny-all"
    if len(trial.open) == tried:
        return f"NOT ENFORCED: {after} all {tried} paths still connect", PLUGIN
    if trial.open and (family := _family_left_out(trial)):
        return (
            f"NOT ENFORCED over IPv{family}: {after} all {len(trial.open)} of its paths still connect",
            f"enable IPv{family} in the network plugin: some leave policies for it out unless told otherwise",
        )
    if trial.open:
        return (
            f"NOT ENFORCED everywhere: {after} {len(trial.open)} of {tried} connect: {listed(trial.open)}",
            f"look at the network plugin's agent on {listed(_suspects(trial))}",
        )
    if trial.collateral:
        return (
            f"a deny-all also shuts what it does not forbid: {listed(trial.collateral)}",
            "replies to allowed connections must pass: a fault of the network plugin",
        )
    if trial.lingering:
        return (
            f"{len(trial.lingering)} of {tried} paths stay shut after it: {listed(trial.lingering)}",
            "the network plugin keeps stale rules: look at its agent on that node",
        )
    return None


def _family_left_out(trial: Trial) -> int | None:
    """The one of two address families in which nothing was shut, where all of the other was."""
    families = {path.family for path in trial.open}
    shut = {path.family for path in trial.stopped}
    return families.pop() if len(families) == 1 and shut and families.isdisjoint(shut) else None


def _suspects(trial: Trial) -> list[str]:
    """The nodes at the enforcing end of the open paths."""
    ends = (p.to if trial.direction.value == "ingress" else p.source for p in trial.open)
    return sorted({station.node or "the node" for station in ends})


def host_network(trial: Trial, trouble: str | None, before: Mapping[Path, Answer]) -> Check:
    """What a policy means for a pod in its node's own network: told, never judged."""
    name = "host network"
    if trouble is not None:
        return Check(name, Status.NOTE, f"not tried: {trouble}")
    if not trial.stopped:
        return Check(name, Status.NOTE, "says nothing where no pod can be isolated: see ingress")
    told: dict[str, list[str]] = {}
    for path, after in trial.beside.items():
        if before[path].outcome is not Outcome.CONNECTED:
            word = f"never connected ({_said(before[path])})"
        else:
            word = "passes" if after.outcome is Outcome.CONNECTED else "is denied"
        told.setdefault(f"{path.where} {word}", []).append(path.target.protocol.value)
    evidence = "; ".join(f"{what} ({', '.join(dict.fromkeys(kinds))})" for what, kinds in told.items())
    return Check(name, Status.OK, f"from a pod with hostNetwork to pods that a deny-all isolates: {evidence}")


def dns(answers: Mapping[Station, Answer]) -> Check:
    """Whether names resolve in pods."""
    name = "DNS"
    lost = {s: a for s, a in answers.items() if a.outcome is Outcome.NO_SUCH_NAME}
    failed = {s: a for s, a in answers.items() if a.outcome is Outcome.EXEC_FAILED}
    if lost or failed:
        where = ", ".join(f"on {s.node}: {_said(a)}" for s, a in [*lost.items(), *failed.items()][:3])
        return Check(
            name,
            Status.FAILED if lost else Status.UNKNOWN,
            f"{NAME.host} does not resolve in pods {where}",
            "kubectl -n kube-system get pods -l k8s-app=kube-dns; rows by DNS name will be unknown",
        )
    shut = {s: a for s, a in answers.items() if a.outcome is not Outcome.CONNECTED}
    if shut:
        station, answer = next(iter(shut.items()))
        evidence = f"{NAME.host} resolves; its port 443 does not connect on {station.node}: {_said(answer)}"
        return Check(
            name,
            Status.NOTE,
            evidence,
            "no harm where pods need no API server, as on a lab; else look at kube-proxy",
        )
    return Check(name, Status.OK, f"{NAME.host} resolves in pods and connects by its Service")


def families(pairs: Sequence[Pair]) -> Check:
    """Which addresses pods get."""
    seen = {frozenset(a.version for a in station.addresses) for pair in pairs for station in _ends(pair)}
    words = {frozenset({4}): "IPv4 only", frozenset({6}): "IPv6 only", frozenset({4, 6}): "IPv4 and IPv6"}
    name = "address families"
    if len(seen) != 1:
        mixed = "; ".join(sorted(words.get(one, "none") for one in seen))
        return Check(name, Status.NOTE, f"pods differ: {mixed}", "rows of one family may be unknown")
    (one,) = seen
    example = pairs[0].server
    return Check(name, Status.OK, f"{words.get(one, 'none')}, as {' and '.join(map(str, example.addresses))}")


def sctp(inside: Mapping[Station, Inside]) -> Check:
    """Whether the kernels speak SCTP; that policies stop it is not tried, because nc cannot speak it."""
    have = sorted({s.node or "a node" for s, i in inside.items() if i.sctp})
    lack = sorted({s.node or "a node" for s, i in inside.items() if i.sctp is False})
    told = []
    if have:
        told.append(f"the kernel speaks it on {listed(have)}")
    if lack:
        told.append(f"/proc/net/protocols does not list it on {listed(lack)}: not loaded, or not there")
    evidence = "; ".join(told) or "no pod could say"
    return Check("SCTP", Status.NOTE, f"{evidence}. Rows with SCTP are skipped: nc cannot speak it")


def clocks(server: Skew | None, inside: Mapping[Station, Inside]) -> Check:
    """How far the clocks of API server and nodes are from the one here."""
    name = "clocks"
    skews = {"API server": server} | {s.node or s.pod: i.skew for s, i in inside.items()}
    known = {who: skew for who, skew in skews.items() if skew is not None}
    silent = [who for who in skews if who not in known]
    told = ", ".join(f"{who} {_skew(skew)}" for who, skew in known.items())
    evidence = f"against this machine: {told}" if told else "nobody told the time"
    if silent:
        evidence += f"; not told by {listed(silent)}"
    worst = max((abs(skew.least) for skew in known.values()), default=0.0)
    hint = "let all of them follow one time source (NTP): certificates, tokens and Leases go by it"
    if worst > SKEW_FAILED_S:
        return Check(name, Status.FAILED, evidence, hint)
    if worst > SKEW_NOTE_S or silent:
        return Check(name, Status.NOTE, evidence, hint if worst > SKEW_NOTE_S else None)
    return Check(name, Status.OK, evidence)


def _skew(skew: Skew) -> str:
    middle, spread = (skew.low + skew.high) / 2, (skew.high - skew.low) / 2
    if not skew.least:
        return f"agrees to {max(abs(skew.low), abs(skew.high)):.1f} s"
    return f"{middle:+.1f} s (±{spread:.1f})"


def _ends(pair: Pair) -> tuple[Station, Station]:
    return pair.client, pair.server


def _kinds(paths: Collection[Path]) -> str:
    """ "n1, n2; TCP, UDP; IPv4"."""
    nodes = sorted({station.node or "?" for path in paths for station in (path.source, path.to)})
    protocols = sorted({path.target.protocol.value for path in paths})
    versions = sorted({f"IPv{path.family}" for path in paths})
    return "; ".join((listed(nodes), ", ".join(protocols), ", ".join(versions)))


def _said(answer: Answer) -> str:
    words = answer.outcome.value.replace("_", " ")
    return f"{words} ({answer.text})" if answer.text and answer.outcome is Outcome.EXEC_FAILED else words
