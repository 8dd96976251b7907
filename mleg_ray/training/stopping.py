"""When a run has nothing more to give."""

import math
import statistics
from collections.abc import Sequence

from mleg_ray.run import PlateauConfig


def on_plateau(scores: Sequence[float], config: PlateauConfig) -> bool:
    """Tell whether the scores of a run, oldest first, have stopped falling.

    Each is replaced by the median of the last `smoothing`; a plateau is `patience` in a row, of
    which none is smaller than the best before them by the relative `min_improvement`.
    """
    reference, since = math.inf, 0
    for i in range(len(scores)):
        smooth = statistics.median(scores[max(0, i + 1 - config.smoothing) : i + 1])
        if smooth < reference * (1 - config.min_improvement):
            reference, since = smooth, 0
        else:
            since += 1
    return since >= config.patience
