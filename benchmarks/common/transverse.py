"""Transverse momenta of electrons, as events of several names side by side."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.events import Events

BINS = 80  # along each axis


def transverse(events: Events) -> FloatArray:
    """Return px and py of the events' electrons, (n, 2) in GeV."""
    momenta = [events.columns[name].double().numpy() for name in ("electron.px", "electron.py")]
    return np.stack(momenta, axis=1)


def planes(momenta: Mapping[str, FloatArray], reach: float) -> Figure:
    """Draw px-py of events (n, 2) of each name, up to a reach in GeV, on one scale of colours."""
    edges = np.linspace(-reach, reach, BINS + 1)
    counts = [
        np.histogram2d(points[:, 0], points[:, 1], [edges, edges])[0] for points in momenta.values()
    ]
    colours = LogNorm(1, max(10.0, *(count.max() for count in counts)))
    figure = Figure(figsize=(2.6 * len(momenta), 3.2), layout="constrained")
    panels = figure.subplots(1, len(momenta), sharey=True, squeeze=False)[0]
    for axes, name, count in zip(panels, momenta, counts, strict=True):
        axes.pcolormesh(edges, edges, np.ma.masked_less(count, 1).T, norm=colours)
        axes.set(title=name, xlabel="px [GeV]", aspect="equal")
    panels[0].set_ylabel("py [GeV]")
    return figure
