"""Physics as pure functions of tensors, in GeV and radians; observables are entered on import."""

from mleg_ray.physics import (
    dark_machines,
    detector,
    dis,
    fixed_target,
    images,
    kinematics,
    objects,
    photoproduction,
    tops,
)

__all__ = [
    "dark_machines",
    "detector",
    "dis",
    "fixed_target",
    "images",
    "kinematics",
    "objects",
    "photoproduction",
    "tops",
]
