"""Spaces of a made-up feature map."""

from mleg_ray.models import Spaces
from mleg_ray.space import Part, Space


def spaces(features: int, conditions: int, view: int, periodic: tuple[int, ...] = ()) -> Spaces:
    """Return the spaces of so many features, conditions and numbers that critics see."""
    return Spaces(
        Space({"event": Part((features,), circle=periodic)}),
        Space.numbers(conditions),
        Space.numbers(view),
    )
