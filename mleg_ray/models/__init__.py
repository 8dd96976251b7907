"""Generative models of features: one module a family, entered in `MODELS` on import."""

from mleg_ray.models import flow, gan, vae
from mleg_ray.models.base import MODELS, Model, ModelConfig, Widths, generate

__all__ = ["MODELS", "Model", "ModelConfig", "Widths", "flow", "gan", "generate", "vae"]
