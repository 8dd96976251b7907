"""Pictures of a training run; every function returns PNGs by name."""

import math
from collections.abc import Mapping, Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mleg_ray.report.drawing import FAINT, GENERATED, INK, STYLE, png


def training_pngs(history: Sequence[Mapping[str, float]], kept: int) -> dict[str, bytes]:
    """Draw a run's snapshots: the selecting score with each observable's KS, and the losses.

    Each entry holds `step` and `ks_sum`; keys `ks.NAME` are distances, keys that end in `loss` are
    losses. The snapshot of step `kept` is that of the checkpoint.
    """
    keys = list(dict.fromkeys(key for snapshot in history for key in snapshot))
    losses = [key for key in keys if key.endswith("loss")]
    distances = [key for key in keys if key.startswith("ks.")]
    pictures = {}
    with style.context(STYLE):
        figure, axes = _step_axes("KS distance on validation events")
        for i, key in enumerate(distances):
            label = "each observable" if i == 0 else None
            axes.plot(*_curve(history, key), color=FAINT, alpha=0.5, linewidth=0.8, label=label)
        steps, values = _curve(history, "ks_sum")
        axes.plot(steps, values, color=INK, label="sum over observables")
        if kept in steps:
            height = values[steps.index(kept)]
            axes.plot(kept, height, "o", color=GENERATED, label=f"kept: step {kept:,}")
        axes.set_yscale("log")
        axes.legend(fontsize=7.5, framealpha=0.85, frameon=True, edgecolor="none")
        pictures["training-ks"] = png(figure)
        if losses:
            figure, axes = _step_axes("loss")
            for key in losses:
                axes.plot(*_curve(history, key), label=key.replace("_", " "))
            axes.legend(fontsize=7.5, framealpha=0.85, frameon=True, edgecolor="none")
            pictures["training-losses"] = png(figure)
    return pictures


def _step_axes(label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.margins(x=0.02)
    return figure, axes


def _curve(history: Sequence[Mapping[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Return steps and values of the snapshots that have a finite `key`."""
    present = [s for s in history if math.isfinite(s.get(key, math.nan))]
    return [snapshot["step"] for snapshot in present], [snapshot[key] for snapshot in present]
