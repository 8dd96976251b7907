"""What each family minimises: one module a family, entered in `OBJECTIVES` on import."""

from mleg_ray.objectives import (
    adversarial,
    distillation,
    flow_matching,
    likelihood,
    mmd_gan,
    unfolding,
    variational,
    wasserstein,
    wasserstein_autoencoding,
)
from mleg_ray.objectives.base import OBJECTIVES, Objective, ObjectiveConfig, Teacher

__all__ = [
    "OBJECTIVES",
    "Objective",
    "ObjectiveConfig",
    "Teacher",
    "adversarial",
    "distillation",
    "flow_matching",
    "likelihood",
    "mmd_gan",
    "unfolding",
    "variational",
    "wasserstein",
    "wasserstein_autoencoding",
]
