"""Generative models of features: one module a family, entered in `MODELS` on import."""

from mleg_ray.models import gan, vae
from mleg_ray.models.base import MODELS, Model, ModelConfig, Widths

__all__ = ["MODELS", "Model", "ModelConfig", "Widths", "gan", "vae"]
