"""Figures of merit: how far a generated sample is from the truth, beside how far truth is.

Any generator's events will do; columns are arrays, or a data frame:

>>> import numpy as np
>>> from mleg_ray.evaluation import from_arrays, scorecard
>>> rng = np.random.default_rng(0)
>>> truth = {"pt": rng.exponential(10, 2000), "eta": rng.normal(0, 1, 2000)}
>>> generated = {"pt": rng.exponential(14, 1000), "eta": rng.normal(0, 1, 1000)}
>>> card = scorecard(truth, generated, seed=1, metrics=["ks"])
>>> {name: figure.verdict for name, figure in card.figures["ks"].items()}
{'pt': 'visible', 'eta': 'at the floor'}

Without `metrics` it computes all of `METRICS`. Weights, which may be negative, units and physical
constraints belong to a sample:

>>> weighted = from_arrays(generated, weights=np.where(rng.uniform(size=1000) < 0.1, -1, 1))
>>> print(scorecard(truth, weighted, metrics=["ks"]).figures["ks"]["eta"].verdict)
at the floor

`card.to_json()` is the document, `mleg_ray.report.html.write_report` makes the page. A `Metric` of
your own is computed and shown like the others: see docs/metrics.md.
"""

from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import Metric
from mleg_ray.evaluation.samples.datasets import from_dataset
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.scorecards import Scorecard, scorecard
from mleg_ray.evaluation.statistics.ensemble import pulls
from mleg_ray.evaluation.statistics.estimate import Estimate

__all__ = [
    "METRICS",
    "Estimate",
    "Metric",
    "Scorecard",
    "from_arrays",
    "from_dataset",
    "pulls",
    "scorecard",
]
