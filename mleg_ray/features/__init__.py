"""Invertible maps between physical events and the space in which networks work."""

from mleg_ray.features.map import FeatureMap, FeatureMapConfig
from mleg_ray.features.steps import STEPS, Step, StepConfig

__all__ = ["STEPS", "FeatureMap", "FeatureMapConfig", "Step", "StepConfig"]
