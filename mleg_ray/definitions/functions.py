"""The functions that expressions may call: those of `mleg_ray.physics` of tensors and numbers."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import Tensor

from mleg_ray.physics import (
    detector,
    dis,
    fixed_target,
    images,
    kinematics,
    objects,
    photoproduction,
)

MODULES: dict[str, ModuleType] = {
    "detector": detector,
    "dis": dis,
    "fixed_target": fixed_target,
    "images": images,
    "kinematics": kinematics,
    "objects": objects,
    "photoproduction": photoproduction,
}


def _is_observable(function: Callable[..., Any]) -> bool:
    """Tell whether a function makes one tensor of tensors and numbers, for others to call."""
    kinds = dict(function.__annotations__)
    makes = kinds.pop("return", None)
    return (
        makes is Tensor
        and not function.__name__.startswith("_")
        and all(kind in (Tensor, float, int, Tensor | float) for kind in kinds.values())
    )


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    f"{short}.{name}": function
    for short, module in MODULES.items()
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and _is_observable(function)
}
