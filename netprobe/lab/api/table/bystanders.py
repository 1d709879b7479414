"""The columns of the kinds that the lab stores and does nothing with (printers.go, as in columns.py)."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api import resources as r
from netprobe.lab.api.table.columns import AGE, NAME, Column
from netprobe.lab.api.table.text import NONE, UNKNOWN, UNSET, at, joined
from netprobe.model.objects import Object

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _plain(name: str, path: str, missing: Any = NONE, *, wide: bool = False) -> Column:
    return Column(name, lambda obj, _: at(obj, path, missing), wide=wide)


def _modes(path: str) -> Column:
    return Column(
        "Access Modes", lambda obj, _: joined((_MODES.get(mode, mode) for mode in at(obj, path, ())), "")
    )


def _hosts(ingress: Object) -> str:
    hosts = [rule["host"] for rule in at(ingress, "spec.rules", ()) if rule.get("host")]
    return joined(hosts[:3], "*") + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")


def _scaled(autoscaler: Object) -> str:
    target = at(autoscaler, "spec.scaleTargetRef", {})
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _targets(autoscaler: Object) -> str:
    """The lab measures nothing, so what is measured is unknown."""
    shown = []
    for metric in at(autoscaler, "spec.metrics", ()):
        target = at(metric, "resource.target", {})
        wanted = target.get("averageUtilization")
        aim = f"{wanted}%" if wanted is not None else target.get("averageValue", UNKNOWN)
        shown.append(f"{at(metric, 'resource.name', metric['type'])}: {UNKNOWN}/{aim}")
    return joined(shown).replace(",", ", ")


_WEBHOOKS = Column("Webhooks", lambda obj, _: len(at(obj, "webhooks", ())))

COLUMNS: dict[r.Resource, tuple[Column, ...]] = {
    r.INGRESSES: (
        NAME,
        _plain("Class", "spec.ingressClassName"),
        Column("Hosts", lambda obj, _: _hosts(obj)),
        Column("Address", lambda _obj, _now: ""),
        Column("Ports", lambda obj, _: "80, 443" if at(obj, "spec.tls", ()) else "80"),
        AGE,
    ),
    r.INGRESS_CLASSES: (
        NAME,
        _plain("Controller", "spec.controller"),
        _plain("Parameters", "spec.parameters.name"),
        AGE,
    ),
    r.AUTOSCALERS: (
        NAME,
        Column("Reference", lambda obj, _: _scaled(obj)),
        Column("Targets", lambda obj, _: _targets(obj)),
        _plain("MinPods", "spec.minReplicas", UNSET),
        _plain("MaxPods", "spec.maxReplicas"),
        _plain("Replicas", "status.currentReplicas", 0),
        AGE,
    ),
    r.CLAIMS: (
        NAME,
        _plain("Status", "status.phase", "Pending"),
        _plain("Volume", "spec.volumeName", ""),
        _plain("Capacity", "status.capacity.storage", ""),
        _modes("status.accessModes"),
        _plain("StorageClass", "spec.storageClassName", ""),
        _plain("VolumeAttributesClass", "spec.volumeAttributesClassName", UNSET),
        AGE,
        _plain("VolumeMode", "spec.volumeMode", UNSET, wide=True),
    ),
    r.VOLUMES: (
        NAME,
        _plain("Capacity", "spec.capacity.storage", ""),
        _modes("spec.accessModes"),
        _plain("Reclaim Policy", "spec.persistentVolumeReclaimPolicy", ""),
        _plain("Status", "status.phase", "Available"),
        _plain("Claim", "spec.claimRef.name", ""),
        _plain("StorageClass", "spec.storageClassName", ""),
        AGE,
    ),
    r.STORAGE_CLASSES: (
        NAME,
        _plain("Provisioner", "provisioner"),
        _plain("ReclaimPolicy", "reclaimPolicy", "Delete"),
        _plain("VolumeBindingMode", "volumeBindingMode", "Immediate"),
        Column("AllowVolumeExpansion", lambda obj, _: str(at(obj, "allowVolumeExpansion", False)).lower()),
        AGE,
    ),
    r.DEFINITIONS: (NAME, _plain("Created At", "metadata.creationTimestamp")),
    r.MUTATING_WEBHOOKS: (NAME, _WEBHOOKS, AGE),
    r.VALIDATING_WEBHOOKS: (NAME, _WEBHOOKS, AGE),
    r.ADMISSION_POLICIES: (
        NAME,
        Column("Validations", lambda obj, _: len(at(obj, "spec.validations", ()))),
        _plain("ParamKind", "spec.paramKind.kind", UNSET),
        AGE,
    ),
    r.ADMISSION_BINDINGS: (
        NAME,
        _plain("PolicyName", "spec.policyName"),
        _plain("ParamRef", "spec.paramRef.name", UNSET),
        AGE,
    ),
    r.PRIORITY_CLASSES: (
        NAME,
        _plain("Value", "value", 0),
        Column("Global-Default", lambda obj, _: str(at(obj, "globalDefault", False)).lower()),
        AGE,
        _plain("PreemptionPolicy", "preemptionPolicy", "PreemptLowerPriority"),
    ),
}
