"""How many events of a sample lie at each mode of a mixture, and how many modes are found."""

import numpy as np

from mleg_ray.catalog.sources.densities import Array, Modes
from mleg_ray.evaluation.metrics.modes import COVERED, GOOD, nearest_mode

AT_ONCE = 10_000  # events


def at_modes(points: Array, modes: Modes) -> tuple[Array, float]:
    """Return the share (K,) of all events (n, d) that is good at each mode, and that in all.

    Good is what lies within the first `GOOD` widths of the mode that is nearest in widths.
    """
    counts = np.zeros(len(modes.share))
    for some in np.array_split(points, max(1, len(points) // AT_ONCE)):
        nearest, distance = nearest_mode(some, modes)
        counts += np.bincount(nearest[distance <= GOOD[0]], minlength=len(counts))
    shares = counts / len(points)
    return shares, float(shares.sum())


def covered(shares: Array, modes: Modes) -> int:
    """Return how many modes have `COVERED` of their share of the events or more."""
    return int((shares >= COVERED * modes.share).sum())
