"""Histograms of a sample, of what its tallies have counted."""

from collections.abc import Sequence
from typing import Any

from mleg_ray.commands.options import Place


def histogram(
    sample: Place,
    observable: str,
    edges: Sequence[float] | None = None,
    *,
    storage: str | None = None,
) -> Any:  # noqa: ANN401 - of hist
    """Return how all events of a sample lie in a field or observable, as a `hist.Hist`.

    No event is read: the sample's tallies have counted them in some two thousand bins, of which
    the edges that are nearest to `edges` are taken, or all. Of objects these are all objects.

    Raises:
        ConfigError: the sample has no such observable, or too few edges lie within its own.
        DataError: there is no such sample, it has no tallies, or one is gone or altered.
        UserError: hist is not installed.
    """
    import numpy as np

    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.config import suggest
    from mleg_ray.errors import ConfigError, DataError, library
    from mleg_ray.evaluation.samples.datasets import compared_axes, has_tallies, tally_of
    from mleg_ray.storage import storage_root

    hist = library("hist", "histogram")
    dataset, _ = Dataset.find(storage_root(storage), str(getattr(sample, "uri", sample)))
    if not has_tallies(dataset):
        raise DataError(
            f"{dataset.uri}: it has no tallies, as samples of `mleg sample` have; "
            f"mleg.open({dataset.uri!r}) opens its events"
        )
    tally = tally_of(dataset)
    known = list(tally.axes)
    if observable not in known:
        raise ConfigError(
            f"{dataset.uri}: no observable '{observable}'{suggest(observable, known)}; it has "
            f"{', '.join(known)}"
        )
    own = tally.bins.edges[observable]
    if edges is not None:
        own = tally.bins.snap(observable, np.asarray(edges, dtype=np.float64))
        if len(own) < 2:
            raise ConfigError(
                f"edges: {', '.join(f'{edge:g}' for edge in edges)} leave no bin of '{observable}'"
            )
    axis = compared_axes(dataset.manifest, dataset.manifest.conditions)[observable]
    unit = "" if axis.unit == "1" else f" [{axis.unit}]"
    made = hist.Hist(hist.axis.Variable(own, label=f"{axis.label or observable}{unit}"))
    made.view(flow=True)[...] = tally.histogram(observable, own).weight
    return made
