"""What each family minimises: one module a family, entered in `OBJECTIVES` on import."""

from mleg_ray.objectives import (
    adversarial,
    autoencoding,
    distillation,
    flow_matching,
    likelihood,
    parts,
    regression,
    unfolding,
)
from mleg_ray.objectives.base import OBJECTIVES, AnyObjective, Loss, Objective, Setting, Teacher

__all__ = ["OBJECTIVES", "AnyObjective", "Loss", "Objective", "Setting", "Teacher"]
