"""The rules of one policy in the language of nft. Pure; see ruleset.py.

They depend on the policy alone, not on the pods that exist: those are in the sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from netprobe.lab.fabric import faults
from netprobe.lab.fabric.matching import AddressSet, Matcher, digest
from netprobe.lab.fabric.state import InstalledPolicy
from netprobe.model.flow import Protocol
from netprobe.model.policy import NETWORK_POLICY, Action, Direction, PolicyRef, Rule, UnknownPeer

DenyWith = Literal["drop", "reject"]

PASSED = 0x8000
"""The bit of a packet's mark that says that a rule has passed it on to the next tier."""

_COMMENT_LIMIT = 120  # the kernel's is 128 bytes


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """The chain of a policy in one direction: its name, its rules, and the sets that they name.

    `passes`: some rule passes packets on to the next tier.
    """

    chain: str
    rules: tuple[str, ...]
    sets: Mapping[str, AddressSet]
    passes: bool = False


def rules_of(
    installed: InstalledPolicy, direction: Direction, versions: Sequence[int], deny_with: DenyWith = "drop"
) -> PolicyRules:
    """One rule of nft for each rule, peer and port entry of the policy; two if a denial takes two."""
    policy, way = installed.policy, direction.value
    name = name_of(policy.ref)
    chain = f"{way}/{name}"
    if len(chain) > _COMMENT_LIMIT:
        chain = f"{chain[:90]}/{digest(chain)}"
    matcher = Matcher(policy.ref.namespace, direction, versions)
    rules: list[str] = []
    passes = False
    for index, rule in enumerate(policy.rules(direction) or ()):
        if faults.is_missed_rule(installed.annotations, way, index):
            continue
        enforced = _failing_closed(rule)
        if enforced is None:
            continue
        passes = passes or enforced.action is Action.PASS
        for place, match in matcher.matches(enforced):
            note = comment(f"{way} {name} rule {index}{place}")
            for extra, verdict in verdicts(enforced.action, deny_with, match.protocol):
                rules.append(" ".join(filter(None, (match.text, extra, "counter", verdict, note))))
    return PolicyRules(chain, tuple(rules), matcher.sets, passes)


def _failing_closed(rule: Rule) -> Rule | None:
    """The rule as it is enforced: with an unknown peer it does not allow, or it denies everything."""
    if UnknownPeer not in map(type, rule.peers):
        return rule
    return None if rule.action in {Action.ALLOW, Action.LOG} else Rule(action=Action.DENY)


def verdicts(
    action: Action, deny_with: DenyWith, protocol: Protocol | None = None
) -> Iterator[tuple[str, str]]:
    """What does an action to a packet: pairs of a further match and a verdict.

    `protocol`: what the packet is already known to be.
    """
    match action:
        case Action.ALLOW:
            yield "", "accept"
        case Action.PASS:
            yield "", f"meta mark set meta mark | {PASSED:#x} return"
        case Action.LOG:
            yield "", ""
        case Action.DENY if deny_with == "drop":
            yield "", "drop"
        case Action.DENY:
            # TCP by a reset, not by an ICMP error: on one machine the error comes back while connect() still
            # holds the socket, and the kernel then forgets it until the first retransmission, a second later.
            if protocol in {None, Protocol.TCP}:
                yield "" if protocol else "meta l4proto tcp", "reject with tcp reset"
            if protocol is not Protocol.TCP:
                yield "", "reject with icmpx port-unreachable"


def name_of(ref: PolicyRef) -> str:
    """NAMESPACE/NAME of a NetworkPolicy; for other kinds with the kind in front."""
    return str(ref) if ref.kind == NETWORK_POLICY else f"{ref.kind}/{ref}"


def shortened(text: str) -> str:
    """As long as a comment may be; a name that is too long loses its middle, never its end."""
    if len(text) > _COMMENT_LIMIT:
        half = _COMMENT_LIMIT // 2 - 1
        text = f"{text[:half]}..{text[-half:]}"
    return text


def comment(text: str) -> str:
    """A comment that names a rule."""
    return f'comment "{shortened(text)}"'
