"""Invertible steps from events to features: one module each, entered in `STEPS` on import."""

from mleg_ray.features.steps import (
    angle,
    count,
    dequantise,
    dis_kinematic,
    dis_lightcone,
    electron_response,
    gap,
    interval,
    logarithm,
    mass_shell,
    pion_pair,
    pixels,
    relative,
    spherical,
)
from mleg_ray.features.steps.base import STEPS, Layout, Quantity, Step, StepConfig

__all__ = [
    "STEPS",
    "Layout",
    "Quantity",
    "Step",
    "StepConfig",
    "angle",
    "count",
    "dequantise",
    "dis_kinematic",
    "dis_lightcone",
    "electron_response",
    "gap",
    "interval",
    "logarithm",
    "mass_shell",
    "pion_pair",
    "pixels",
    "relative",
    "spherical",
]
