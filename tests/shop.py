"""Manifests of a small shop, for tests of commands: who may connect to its database and to its carts?"""

from tests.manifest_text import documents, namespace, pod, policy, service, workload

SHOP = documents(
    namespace("shop", team="a"),
    workload(
        "Deployment", "web", "{app: web}", ports="[{containerPort: 80, name: http}]", more="replicas: 2, "
    ),
    pod("db", ports="[{containerPort: 5432}, {containerPort: 53, protocol: UDP}]", app="db"),
    pod("cart-1", ports="[{containerPort: 8080}]", addresses="{ip: 10.0.0.2}, {ip: 'fd00::2'}", app="cart"),
    pod("cart-2", addresses="{ip: 10.0.0.3}, {ip: 'fd00::3'}", app="cart"),
    service("selector: {app: nothing}, ports: [{port: 80}]", name="nothing"),
    policy(
        "{podSelector: {matchLabels: {app: db}}, "
        "ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]}",
        name="db",
    ),
    policy(
        "{podSelector: {matchLabels: {app: cart}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}",
        name="cart",
    ),
)
