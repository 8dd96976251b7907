"""Panels of distributions over their ratios to the truth."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.common.conditional import Array, Bins
from mleg_ray.report.drawing import GENERATED, TRUTH, TRUTH_FILL

COLOURS = (GENERATED, "C0", "C2", "C4", "C5", "C6")  # of samples


def draw_ratio(
    top: Axes, bottom: Axes, edges: Array, truth: Bins, samples: Mapping[str, Bins], reach: float
) -> None:
    """Draw the truth as steps and samples as points, and their ratios to it, all with errors.

    Ratios are of what is above zero in both; those within 1 ± `reach` are seen.
    """
    middles = (edges[1:] + edges[:-1]) / 2
    top.stairs(truth.value, edges, fill=True, color=TRUTH_FILL, label="truth")
    bottom.axhline(1, color=TRUTH, linewidth=0.9)
    bottom.set_ylim(1 - reach, 1 + reach)
    for (label, found), colour in zip(samples.items(), cycle(COLOURS), strict=False):
        points: dict[str, Any] = {"fmt": "o", "markersize": 2.6, "linewidth": 0.9, "color": colour}
        top.errorbar(middles, found.value, found.error, label=label, **points)
        both = (truth.value > 0) & (found.value > 0)
        t, g = (Bins(some.value[both], some.error[both]) for some in (truth, found))
        ratio = g.value / t.value
        error = ratio * np.hypot(g.error / g.value, t.error / t.value)
        bottom.errorbar(middles[both], ratio, error, **points)
