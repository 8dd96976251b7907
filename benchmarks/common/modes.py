"""How many modes of a mixture are found, and how many events lie at one."""

import numpy as np

from mleg_ray.catalog.sources.densities import Array, Modes

GOOD = 3.0  # deviations from the nearest mode, up to which an event is good
COVERED = 0.2  # of its share of the events, from which on a mode counts as found


def at_modes(points: Array, modes: Modes) -> tuple[Array, float]:
    """Return the share (K,) of all events (n, d) that is good at each mode, and that in all.

    An event belongs to the mode from which it is the fewest of the mode's deviations away.
    """
    counts = np.zeros(len(modes.share))
    for some in np.array_split(points, max(1, len(points) // 10_000)):
        away = np.linalg.norm(some[:, None] - modes.mean, axis=2) / modes.sigma
        nearest = away.argmin(axis=1)
        good = away[np.arange(len(some)), nearest] <= GOOD
        counts += np.bincount(nearest[good], minlength=len(counts))
    shares = counts / len(points)
    return shares, float(shares.sum())


def covered(shares: Array, modes: Modes) -> int:
    """Return how many modes have `COVERED` of their share of the events or more."""
    return int((shares >= COVERED * modes.share).sum())
