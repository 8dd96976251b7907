"""What a sample's manifest says of its making; it may come from anywhere, so nothing is certain."""

import math
from collections.abc import Mapping


def recorded(provenance: Mapping[str, object], *keys: str) -> object:
    """Return what is recorded under nested keys, None if there is nothing."""
    value: object = provenance
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def recorded_number(provenance: Mapping[str, object], *keys: str) -> float | None:
    """Return a positive number that is recorded under nested keys, None if there is none."""
    value = recorded(provenance, *keys)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 < value < math.inf else None
