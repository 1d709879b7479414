"""The worked examples under manifests/: what they promise, held against the simulator and against the lab."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

MANIFESTS = Path(__file__).parents[2] / "manifests"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one folder promises.

    `flows` counts the whole declared matrix over all steps, worked out from pods and ports. `facts` are rows
    that the folder is about, `SOURCE DESTINATION PORT VERDICT [STEP]`, where the verdict is what the policies
    say. `differences` maps such a row, without its verdict, to the causes that the report must name.
    """

    name: str
    flows: int
    facts: str
    differences: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def suite(self) -> Path:
        return MANIFESTS / self.name / "suite.yaml"

    @property
    def status(self) -> int:
        """The exit status of a run: the folder's name says whether it is meant to differ."""
        return 1 if self.name.endswith("-mistake") else 0


PRODUCTION = """
    frontend/web-server     production/api-server  8080/TCP  allow
    frontend/admin          production/api-server  8080/TCP  deny
    staging/web-server      production/api-server  8080/TCP  deny
    production/api-server   production/postgres    5432/TCP  allow
    monitoring/prometheus   production/postgres    9187/TCP  allow
    production/prometheus   production/postgres    9187/TCP  deny
    monitoring/prometheus   production/postgres    5432/TCP  deny
    production/api-server   database/postgres      5432/TCP  allow
    production/api-server   partner                443/TCP   allow
    production/api-server   partner                80/TCP    deny
    production/api-server   intranet               443/TCP   deny
    database/mysql          production/postgres    5432/TCP  deny
    frontend/web-server     staging/web-server     80/TCP    allow
"""

GUARDRAILS = """
    monitoring/prometheus  shop/db                9090/TCP  allow
    monitoring/prometheus  shop/db                5432/TCP  deny
    monitoring/prometheus  blog/web               8080/TCP  deny
    shop/web               shop/db                5432/TCP  allow
    blog/web               shop/db                5432/TCP  deny
    shop/web               shop/db                9090/TCP  deny
    shop/web               monitoring/prometheus  9090/TCP  allow
"""

SCENARIOS = (
    Scenario(
        "two-tier",
        flows=8,  # two sources each: web 80, api 8080, pg 5432 and 9187
        facts="""
            frontend/web  database/pg  5432/TCP  deny
            backend/api   database/pg  5432/TCP  allow
            backend/api   database/pg  9187/TCP  deny
            database/pg   backend/api  8080/TCP  deny
            frontend/web  backend/api  8080/TCP  allow
        """,
    ),
    Scenario(
        "production",
        flows=189,  # 10 x 13 among pods, 11 x 3 to the outside, 2 x 13 from it
        facts=PRODUCTION
        + """
            monitoring/grafana     production/postgres  9187/TCP  deny
            production/api-server  database/mysql       5432/TCP  deny
            production/api-server  dns/coredns          53/UDP    allow
        """,
    ),
    Scenario(
        "production-mistake",
        flows=189,
        facts=PRODUCTION
        + """
            monitoring/grafana     production/postgres  9187/TCP  allow
            production/api-server  database/mysql       5432/TCP  allow
            production/api-server  dns/coredns          53/UDP    deny
        """,
        differences={
            "monitoring/grafana production/postgres 9187/TCP": frozenset(
                {"production/allow-postgres ingress allows rule 1 peer 0"}
            ),
            "production/api-server database/mysql 5432/TCP": frozenset(
                {"production/allow-egress-external egress allows rule 1 peer 0"}
            ),
            "production/api-server dns/coredns 53/UDP": frozenset(
                {
                    "production/default-deny-all egress isolates",
                    "production/allow-egress-external egress isolates",
                }
            ),
        },
    ),
    Scenario(
        "same-namespace",
        flows=18,  # three sources each: 2 x 2 ports in production, 2 x 1 in staging
        facts="""
            production/shop  production/cart  8080/TCP  allow
            production/shop  production/cart  9090/TCP  deny
            staging/shop     production/shop  8080/TCP  deny
            production/shop  staging/shop     8080/TCP  allow
        """,
    ),
    Scenario(
        "ci-runners",
        flows=16,  # 2 x 4 among pods, 2 x 4 from the outside
        facts="""
            ci-runner              production/api-server  8080/TCP  allow
            ci-runner              production/api-server  9090/TCP  deny
            stranger               production/api-server  8080/TCP  deny
            production/web-server  production/api-server  8080/TCP  deny
            staging/client         production/api-server  8080/TCP  deny
            stranger               production/web-server  80/TCP    allow
        """,
    ),
    Scenario(
        "pipeline",
        flows=72,  # six sources each: 2 + 4 + 4 + 2 ports
        facts="""
            frontend/web      backend/api       8080/TCP  allow
            frontend/web      backend/api       9100/TCP  deny
            frontend/web      database/primary  5432/TCP  deny
            backend/api       database/primary  5432/TCP  allow
            database/primary  database/replica  5432/TCP  deny
            database/primary  dns/coredns       53/UDP    allow
            dns/coredns       frontend/web      80/TCP    deny
        """,
    ),
    Scenario(
        "five-workloads",
        flows=30,  # 4 x 6 among pods, 6 from the internet
        facts="""
            frontend/web    backend/api        8080/TCP  allow
            backend/api     database/postgres  5432/TCP  allow
            backend/api     database/redis     6379/TCP  allow
            backend/worker  backend/api        8080/TCP  deny
            frontend/web    database/postgres  5432/TCP  deny
            internet        frontend/web       443/TCP   allow
            internet        frontend/web       80/TCP    deny
        """,
    ),
    Scenario(
        "zero-trust",
        flows=509,  # 15 x 29 among pods, 2 x 29 from the outside, 16 x 1 to it
        facts="""
            customer                frontend/gateway       443/TCP    allow
            customer                frontend/gateway       9100/TCP   deny
            card-network            frontend/gateway       443/TCP    deny
            frontend/gateway        frontend/web           8080/TCP   allow
            frontend/web            backend/orders         8080/TCP   allow
            frontend/web            data/postgres          5432/TCP   deny
            backend/orders          backend/payments       8443/TCP   allow
            backend/orders          data/postgres          5432/TCP   allow
            backend/payments        card-network           443/TCP    allow
            backend/orders          card-network           443/TCP    deny
            monitoring/prometheus   data/postgres          9187/TCP   allow
            monitoring/prometheus   data/postgres          5432/TCP   deny
            monitoring/grafana      backend/mailer         9100/TCP   allow
            data/queue              dns/coredns            53/UDP     allow
        """,
    ),
    Scenario(
        "no-cluster",
        flows=3,
        facts="""
            frontend/web  backend/api        8080/TCP  allow
            frontend/web  database/postgres  5432/TCP  deny
            backend/api   database/postgres  5432/TCP  allow
        """,
    ),
    Scenario(
        "namespace-labels",
        flows=100,  # twice: five sources each, 4 x 2 + 2 x 1 ports
        facts="""
            production/shop     production/cart  8080/TCP  deny   0
            production/shop     production/cart  8080/TCP  allow  1
            production/shop     production/cart  9100/TCP  deny   1
            staging/shop        production/cart  8080/TCP  deny   1
            staging/shop        staging/cart     8080/TCP  allow  1
            monitoring/grafana  production/cart  9100/TCP  deny   0
            monitoring/grafana  production/cart  9100/TCP  allow  1
            monitoring/grafana  staging/shop     9100/TCP  allow  1
            production/shop     monitoring/grafana  9090/TCP  deny   1
            monitoring/grafana  monitoring/prometheus  9090/TCP  allow  1
        """,
    ),
    Scenario(
        "platform-guardrails",
        flows=21,  # three sources each: 1 + 2 + 2 + 2 ports
        facts=GUARDRAILS
        + """
            monitoring/prometheus  shop/web  8080/TCP  allow
            blog/web               shop/web  8080/TCP  allow
        """,
    ),
    Scenario(
        "platform-guardrails-mistake",
        flows=21,
        facts=GUARDRAILS
        + """
            monitoring/prometheus  shop/web  8080/TCP  deny
            blog/web               shop/web  8080/TCP  deny
        """,
        differences={
            f"{source} shop/web 8080/TCP": frozenset({"closed-by-default ingress denies rule 0 peer 0"})
            for source in ("monitoring/prometheus", "shop/db", "blog/web")
        },
    ),
    Scenario(
        "calico-tiers",
        flows=28,  # 3 x 5 among pods, 4 x 2 to the outside, 5 from it
        facts="""
            lab/trial      shop/web   8080/TCP  deny
            shop/web       shop/api   8080/TCP  allow
            shop/web       shop/api   9090/TCP  deny
            audit/scanner  shop/api   9090/TCP  allow
            audit/scanner  mirror     443/TCP   allow
            audit/scanner  mirror     80/TCP    deny
            shop/web       mirror     443/TCP   deny
            mirror         shop/api   8080/TCP  deny
            mirror         shop/web   8080/TCP  allow
        """,
    ),
)

EACH = pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
