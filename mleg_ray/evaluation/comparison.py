"""What is compared, and what several metrics share of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mleg_ray.evaluation.classifiers import Classification, classify
from mleg_ray.evaluation.estimate import Figure
from mleg_ray.evaluation.histograms import HISTOGRAM_DISTANCES, prepare_histogram_distances
from mleg_ray.evaluation.resampling import Pool, joint_estimates, per_observable
from mleg_ray.evaluation.sample import Sample
from mleg_ray.randomness import derive_seed


@dataclass(frozen=True)
class Comparison:
    """A generated sample, the truth that judges it and, if known, what the generator learned from.

    `seed` is the root of the random choices that metrics share.
    """

    truth: Sample
    generated: Sample
    training: Sample | None = None
    seed: int = 0

    @cached_property
    def classifications(self) -> Mapping[str, Classification]:
        """The trained classifiers by name: the costly part of two metrics.

        Raises:
            NotComputableError: too few events, a value is not finite, or the weights cancel.
        """
        rng = np.random.default_rng(derive_seed(self.seed, "evaluate/classifiers"))
        return classify(self.truth, self.generated, rng)

    @cached_property
    def histogram_distances(self) -> Mapping[str, Mapping[str, Figure]]:
        """The figures of all metrics of an observable's histogram, by metric and observable.

        Raises:
            NotComputableError: see `Pool`.
        """
        rng = np.random.default_rng(derive_seed(self.seed, "evaluate/histograms"))
        pool = Pool(self.truth, self.generated, rng)
        subjects = per_observable(pool, prepare_histogram_distances)
        n = len(HISTOGRAM_DISTANCES)
        figures = joint_estimates(pool, subjects, rng, figures=n, mean=pool.object_shares)
        return dict(zip(HISTOGRAM_DISTANCES, figures, strict=True))
