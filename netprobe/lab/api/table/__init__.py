"""The Table form of objects: the columns that `kubectl get` prints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from netprobe.lab.api.resources import Resource
from netprobe.lab.api.store import Stored
from netprobe.lab.api.table.columns import AGE, COLUMNS, NAME
from netprobe.model.objects import Object

METADATA_KIND = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def metadata_of(obj: Object) -> Object:
    """The PartialObjectMetadata of an object."""
    return {**METADATA_KIND, "metadata": obj["metadata"]}


def empty(metadata: dict[str, Any]) -> Object:
    """A table without rows, for a bookmark."""
    return {**_table(metadata), "columnDefinitions": None, "rows": [_bookmark_row(metadata)]}


def _bookmark_row(metadata: dict[str, Any]) -> Object:
    return {"cells": [], "object": {**METADATA_KIND, "metadata": metadata}}


def _table(metadata: dict[str, Any]) -> Object:
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}


def of_list(
    resource: Resource, items: list[Stored], metadata: dict[str, Any], include: str, *, columns: bool = True
) -> Object:
    """The table of some objects. `include`: what a row holds besides its cells: None, Metadata or Object."""
    columns_of_kind = COLUMNS.get(resource, (NAME, AGE))
    at = datetime.now(UTC)
    rows = []
    for item in items:
        row: Object = {"cells": [column.cell(item.object, at) for column in columns_of_kind]}
        if include == "Object":
            row["object"] = item.object
        elif include != "None":
            row["object"] = metadata_of(item.object)
        rows.append(row)
    definitions = [
        {
            "name": column.name,
            "type": column.type,
            "format": "name" if column.name == "Name" else "",
            "description": column.name,
            "priority": 1 if column.wide else 0,
        }
        for column in columns_of_kind
    ]
    return {**_table(metadata), "columnDefinitions": definitions if columns else [], "rows": rows}
