"""Hyperparameter studies, without Ray: what is searched, how, and what came of it."""

from mleg_ray.study import plan, pruning, space

__all__ = ["plan", "pruning", "space"]
