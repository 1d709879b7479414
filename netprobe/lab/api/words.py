"""What `kubectl explain` says, for the fields that this project is about; the others stay without a text."""

from __future__ import annotations

ELSEWHERE = (
    "The lab has words for what policies are made of (kubectl explain networkpolicy), and of all else the "
    "fields: https://kubernetes.io/docs/reference/kubernetes-api/ explains them."
)
"""What is said of a kind that has no text of its own."""

DEFINITIONS: dict[str, str] = {
    "networking.v1.NetworkPolicy": "Which connections the pods that it selects may have. Policies only "
    "allow: a pod that none selects in a direction is open in it.",
    "networking.v1.NetworkPolicySpec": "What a policy isolates, and what it lets pass nevertheless.",
    "networking.v1.NetworkPolicyIngressRule": "Connections to the selected pods: from any of the peers, on "
    "any of the ports.",
    "networking.v1.NetworkPolicyEgressRule": "Connections from the selected pods: to any of the peers, on "
    "any of the ports.",
    "networking.v1.NetworkPolicyPeer": "Either an ipBlock, or pods by label, namespaces by label, or both at "
    "once.",
    "networking.v1.NetworkPolicyPort": "A port, a range of ports, or all ports of a protocol.",
    "networking.v1.IPBlock": "A range of addresses, for what is outside the cluster.",
}

FIELDS: dict[tuple[str, str], str] = {
    ("networking.v1.NetworkPolicySpec", "podSelector"): "The pods of the policy's own namespace that it is "
    "about; {} is all of them.",
    (
        "networking.v1.NetworkPolicySpec",
        "policyTypes",
    ): "Ingress, Egress or both: the directions in which the "
    "selected pods are isolated. Left out: Ingress, and Egress too where there is an egress rule.",
    ("networking.v1.NetworkPolicySpec", "ingress"): "What may reach the selected pods. Empty: nothing.",
    ("networking.v1.NetworkPolicySpec", "egress"): "What the selected pods may reach. Empty: nothing.",
    (
        "networking.v1.NetworkPolicyIngressRule",
        "from",
    ): "The sources. Left out or empty: everyone, outside the cluster too.",
    ("networking.v1.NetworkPolicyIngressRule", "ports"): "The pods' own ports. Left out or empty: all.",
    ("networking.v1.NetworkPolicyEgressRule", "to"): "The destinations. Left out or empty: everyone, outside "
    "the cluster too.",
    ("networking.v1.NetworkPolicyEgressRule", "ports"): "The destinations' ports. Left out or empty: all.",
    (
        "networking.v1.NetworkPolicyPeer",
        "podSelector",
    ): "Pods by label: of the policy's namespace, or of those "
    "that namespaceSelector in the same peer selects.",
    ("networking.v1.NetworkPolicyPeer", "namespaceSelector"): "Namespaces by label; {} is all of them.",
    ("networking.v1.NetworkPolicyPeer", "ipBlock"): "Addresses; neither selector may stand beside it.",
    ("networking.v1.NetworkPolicyPort", "port"): "A number, or the name of a container port of the "
    "destination. Left out: all.",
    ("networking.v1.NetworkPolicyPort", "endPort"): "The last port of a range that begins at port.",
    ("networking.v1.NetworkPolicyPort", "protocol"): "TCP, UDP or SCTP. Left out: TCP.",
    ("networking.v1.IPBlock", "cidr"): 'The range, as in "192.0.2.0/24" or "2001:db8::/64".',
    ("networking.v1.IPBlock", "except"): "Ranges inside cidr that this block leaves out; another rule may "
    "still allow them.",
}
