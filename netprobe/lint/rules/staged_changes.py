"""A staged policy that would change flows if it were enforced.

Calico shows StagedNetworkPolicy, StagedGlobalNetworkPolicy and StagedKubernetesNetworkPolicy and never
enforces them. The note says how many flows between known pods, and to and from addresses that policies name,
the policy would open and close; `stagedAction: Delete` removes the enforced policy of its name. The pods must
be in the input. `netprobe impact` shows all flows of a change.

Example:

      apiVersion: projectcalico.org/v3
      kind: StagedGlobalNetworkPolicy
      metadata: {name: default.closed}
    - spec: {types: [Ingress]}
    + spec: {selector: app == 'api', types: [Ingress]}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop},
        spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.lint.walk import destinations
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.model.policy import Staged
from netprobe.policies.records import as_enforced, ref_of
from netprobe.simulate import CALICO, Evaluation, evaluate_both
from netprobe.simulate.bits import Weights, pack, unpack
from netprobe.simulate.compared import PortNumber, Ports, outside

SEVERITY = Severity.NOTE
MOST = 50  # staged policies; each is evaluated by itself


def check(view: View) -> Iterator[Finding]:
    cluster = view.all_kinds
    for staged in cluster.staged[:MOST] if cluster.pods else ():
        opened, closed = _changes(cluster, staged)
        found = [
            f"{word} {what.flows:,} flow{'s' if what.flows != 1 else ''}, such as {what.sample}"
            for word, what in (("open", opened), ("close", closed))
            if what.flows
        ]
        if found:
            yield Finding(
                ref_of(staged),
                "spec",
                f"enforced, it would {' and '.join(found)}",
                origin=staged.policy.origin,
                severity=SEVERITY,
            )


@dataclass(slots=True)
class _Change:
    flows: int = 0
    sample: str = ""

    def add(self, flows: int, sample: str) -> None:
        self.flows += flows
        self.sample = self.sample or sample


def _changes(cluster: Cluster, staged: Staged) -> tuple[_Change, _Change]:
    """What a staged policy opens and closes."""
    after = replace(cluster, policies=as_enforced(cluster.policies, [staged]))
    opened, closed = _Change(), _Change()
    if after.policies == cluster.policies:
        return opened, closed
    ports = Ports(cluster, after)
    families = sorted({a.version for pod in cluster.pods.values() for a in pod.addresses}) or [4]
    old, new = evaluate_both(
        cluster,
        after,
        CALICO,
        externals=outside((cluster, after), families),
        apart=lambda end: ports.of(end) if isinstance(end, PodRef) else None,
    )
    for port, ends in destinations(new, ports).items():
        for change, flows, sample in _differences(old, new, port, ends):
            (opened if change else closed).add(flows, sample)
    return opened, closed


def _differences(
    old: Evaluation, new: Evaluation, port: PortNumber, destinations: int
) -> Iterator[tuple[bool, int, str]]:
    """(whether it opens, flows, a sample) for each group of sources, without pods on their node's network."""
    groups = new.groups
    weights = Weights([group.size for group in groups])
    pods = pack((g.index for g in groups if g.sample.pod and not g.sample.host), len(groups))
    externals = pack((g.index for g in groups if g.external), len(groups))
    for family in new.families or (None,):
        before, after = old.table(*port, family), new.table(*port, family)
        for source in unpack(pods | externals):
            to = destinations & (pods if groups[source].external else pods | externals)
            was, then = before.reached(source) & to, after.reached(source) & to
            for bits, opens in ((then & ~was, True), (was & ~then, False)):
                itself = bits >> source & 1
                flows = groups[source].size * (weights.total(bits) - itself)
                if flows:
                    target = next(unpack(bits & ~(1 << source) if bits != 1 << source else bits))
                    ends = groups[source].members[0], groups[target].members[-1]
                    yield opens, flows, f"{ends[0]} -> {ends[1]} on {port[0]}/{port[1].value}"
