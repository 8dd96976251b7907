"""Generative models of features: one module a family, entered in `MODELS` on import."""

from mleg_ray.models import (
    autoregressive,
    flow,
    flow_matching,
    gan,
    halving,
    parts,
    sequence,
    student,
    table,
    vae,
)
from mleg_ray.models.base import MODELS, Model, ModelConfig, Spaces, generate, log_density

__all__ = ["MODELS", "Model", "ModelConfig", "Spaces", "generate", "log_density"]
