"""How many modes of a mixture are found, and how many events lie at one."""

import numpy as np

from mleg_ray.catalog.sources.densities import Array, Modes
from mleg_ray.evaluation.metrics.modes import COVERED, GOOD, nearest_mode


def at_modes(points: Array, modes: Modes) -> tuple[Array, float]:
    """Return the share (K,) of all events (n, d) that is good at each mode, and that in all.

    Good are those within three widths of the mode that is nearest in its own.
    """
    nearest, distance = nearest_mode(points, modes)
    good = distance <= GOOD[0]
    shares = np.bincount(nearest[good], minlength=len(modes.share)) / len(points)
    return shares, float(shares.sum())


def covered(shares: Array, modes: Modes) -> int:
    """Return how many modes have `COVERED` of their share of the events or more."""
    return int((shares >= COVERED * modes.share).sum())
