"""What each family minimises: one module a family, entered in `OBJECTIVES` on import."""

from mleg_ray.objectives import (
    adversarial,
    distillation,
    flow_matching,
    likelihood,
    mmd_gan,
    parts,
    regression,
    unfolding,
    variational,
    wasserstein,
    wasserstein_autoencoding,
)
from mleg_ray.objectives.base import (
    OBJECTIVES,
    Loss,
    Objective,
    ObjectiveConfig,
    Seen,
    Setting,
    Teacher,
)

__all__ = [
    "OBJECTIVES",
    "Loss",
    "Objective",
    "ObjectiveConfig",
    "Seen",
    "Setting",
    "Teacher",
    "adversarial",
    "distillation",
    "flow_matching",
    "likelihood",
    "mmd_gan",
    "parts",
    "regression",
    "unfolding",
    "variational",
    "wasserstein",
    "wasserstein_autoencoding",
]
