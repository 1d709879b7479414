"""The base of the enumerations of the model."""

from __future__ import annotations

from enum import Enum


class FastEnum(Enum):
    """An Enum whose members hash by identity.

    Enum hashes the member's name, by Python code; and flows, with three members in each, are keys everywhere.
    """

    __hash__ = object.__hash__
