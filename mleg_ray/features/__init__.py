"""Invertible maps between physical events and the space in which networks work."""

from mleg_ray.features.map import MOST_OUTSIDE, FeatureMap, FeatureMapConfig
from mleg_ray.features.steps import STEPS, Step, StepConfig

__all__ = ["MOST_OUTSIDE", "STEPS", "FeatureMap", "FeatureMapConfig", "Step", "StepConfig"]
