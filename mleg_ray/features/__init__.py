"""Invertible maps between physical events and the space in which networks work."""

from mleg_ray.features import dis, dis_momentum, pion_pair, response, standard
from mleg_ray.features.base import FEATURE_MAPS, FeatureMap, FeatureMapConfig

__all__ = [
    "FEATURE_MAPS",
    "FeatureMap",
    "FeatureMapConfig",
    "dis",
    "dis_momentum",
    "pion_pair",
    "response",
    "standard",
]
