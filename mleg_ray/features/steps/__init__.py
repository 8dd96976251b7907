"""Invertible steps from events to features, entered in `STEPS` when their modules are imported."""

from mleg_ray.features.steps import (
    count,
    dequantise,
    dis_kinematic,
    dis_lightcone,
    electron_response,
    elementwise,
    mass_shell,
    pion_pair,
    spherical,
)
from mleg_ray.features.steps.base import STEPS, Layout, Quantity, Step, StepConfig

__all__ = [
    "STEPS",
    "Layout",
    "Quantity",
    "Step",
    "StepConfig",
    "count",
    "dequantise",
    "dis_kinematic",
    "dis_lightcone",
    "electron_response",
    "elementwise",
    "mass_shell",
    "pion_pair",
    "spherical",
]
