"""What each family minimises: one module a family, entered in `OBJECTIVES` on import."""

from mleg_ray.objectives import adversarial, likelihood, variational
from mleg_ray.objectives.base import OBJECTIVES, Objective, ObjectiveConfig

__all__ = ["OBJECTIVES", "Objective", "ObjectiveConfig", "adversarial", "likelihood", "variational"]
