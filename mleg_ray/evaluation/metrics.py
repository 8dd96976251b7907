"""The registry of figures of merit, by the names that scorecards use.

A metric takes a comparison and returns a figure of each of its subjects: an observable, a plane of
two, a constraint, a classifier. Users may enter their own in `METRICS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.all_events import chi2_all
from mleg_ray.evaluation.amplification import amplification, train_events
from mleg_ray.evaluation.c2st import auc_figures, weight_figures
from mleg_ray.evaluation.comparison import Comparison
from mleg_ray.evaluation.correlations import correlation_subjects
from mleg_ray.evaluation.distances import (
    Statistic,
    effective_size,
    ks_p_value,
    prepare_ks,
    prepare_w1,
)
from mleg_ray.evaluation.estimate import Estimate, Figure, NotComputable, NotComputableError
from mleg_ray.evaluation.histograms import (
    HISTOGRAM_DISTANCES,
    prepare_chi2,
    prepare_plane_chi2,
    prepare_plane_relative_chi2,
)
from mleg_ray.evaluation.memorisation import memorisation
from mleg_ray.evaluation.physics_distances import fpd, kpd
from mleg_ray.evaluation.production import events_per_second
from mleg_ray.evaluation.resampling import (
    Pool,
    Subjects,
    estimates,
    per_observable,
)
from mleg_ray.evaluation.sample import Sample
from mleg_ray.evaluation.sliced import swd
from mleg_ray.evaluation.unphysical import invalid_figures, unphysical_figures

ALL = "all"


class Metric(Protocol):
    """A figure of merit; every random choice comes from `rng`."""

    def __call__(self, comparison: Comparison, *, rng: np.random.Generator) -> dict[str, Figure]:
        """Return a figure of each subject; what cannot be computed says why.

        Without subjects (the dataset declares no selection) a metric is not applicable.
        """
        ...


@dataclass(frozen=True)
class Resampled:
    """A metric whose figures are functions of event weights over a pool (see `resampling`).

    If it is `averaged`, its mean over kinds of objects is a figure too.
    """

    subjects: Callable[[Pool], Subjects]
    p_values: bool = False
    averaged: bool = False

    def __call__(self, comparison: Comparison, *, rng: np.random.Generator) -> dict[str, Figure]:
        """Return each subject's figure with bootstrap uncertainty and floor."""
        try:
            pool = Pool(comparison.truth, comparison.generated, rng)
        except NotComputableError as error:
            return {ALL: NotComputable(reason=str(error))}
        mean = pool.object_shares if self.averaged else None
        return estimates(pool, self.subjects(pool), rng, p_values=self.p_values, mean=mean)


def histogram_distance(name: str) -> Metric:
    """Make a metric of one of the distances that share their histograms."""
    return unless_not_computable(lambda c, rng: dict(c.histogram_distances[name]))


def observables_and_planes(pool: Pool) -> Subjects:
    """Make the subjects of `chi2_ndf`: each plane that the dataset declares, each observable."""
    planes = per_plane(
        pool, lambda plane: prepare_plane_chi2(pool.cells(plane), plane.cells, pool.whole_truth)
    )
    return {**planes, **per_observable(pool, prepare_chi2)}


def relative_planes(pool: Pool) -> Subjects:
    """Make the subjects of `chi2_paper` that are planes."""
    return per_plane(
        pool, lambda plane: prepare_plane_relative_chi2(pool.cells(plane), plane.cells)
    )


def per_plane(pool: Pool, prepare: Callable[[Plane], Statistic]) -> Subjects:
    """Make a subject of each plane that the dataset declares."""
    return {plane.name: partial(prepare, plane) for plane in pool.definitions.planes}


def chi2_paper(comparison: Comparison, *, rng: np.random.Generator) -> dict[str, Figure]:
    """Return `chi2_paper` of each plane and of each observable."""
    planes = Resampled(relative_planes)(comparison, rng=rng)
    return planes | histogram_distance("chi2_paper")(comparison, rng=rng)


def kolmogorov_smirnov(comparison: Comparison, *, rng: np.random.Generator) -> dict[str, Figure]:
    """Return `ks` of each observable with its p-value for the samples' effective sizes."""
    truth, generated = comparison.truth, comparison.generated
    figures = Resampled(partial(per_observable, prepare=prepare_ks))(comparison, rng=rng)
    numbers = truth.numbers
    return {
        # Objects of one event are not independent: Kolmogorov's limit is not theirs.
        name: _with_p_value(figure, truth, generated) if name in numbers else figure
        for name, figure in figures.items()
    }


def unless_not_computable(
    figures: Callable[[Comparison, np.random.Generator], dict[str, Figure]],
) -> Metric:
    """Make a metric of a function; if it raises `NotComputableError`, one subject says why."""

    def metric(comparison: Comparison, *, rng: np.random.Generator) -> dict[str, Figure]:
        try:
            return figures(comparison, rng)
        except NotComputableError as error:
            return {ALL: NotComputable(reason=str(error))}

    return metric


def joint(compute: Callable[[Pool, np.random.Generator], Estimate]) -> Metric:
    """Make a metric of a figure of all observables together."""
    return unless_not_computable(
        lambda c, rng: {ALL: compute(Pool(c.truth, c.generated, rng), rng)}
    )


def copied_events(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return `memorisation`, if the training events are at hand."""
    if comparison.training is None:
        raise NotComputableError("the truth's data are not known to have trained it")
    truth, generated = comparison.truth, comparison.generated
    return {ALL: memorisation(truth, generated, comparison.training, rng)}


def worth(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return `amplification` by region, if the number of training events is known."""
    n_train = train_events(comparison.generated.origin.provenance)
    return amplification(Pool(comparison.truth, comparison.generated, rng), n_train, rng)


def speed(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return `events_per_second` of the generated sample's production; nothing is random."""
    return {ALL: events_per_second(comparison.generated.origin.provenance)}


def unphysical_rate(comparison: Comparison, *, rng: np.random.Generator) -> dict[str, Figure]:
    """Return the share of all generated events that break each constraint; nothing is random."""
    return unphysical_figures(comparison.truth.unphysical, comparison.generated.unphysical)


def invalid_events(comparison: Comparison, *, rng: np.random.Generator) -> dict[str, Figure]:
    """Return the percentage of events that fail the dataset's selection; nothing is random."""
    return invalid_figures(comparison.truth.unphysical, comparison.generated.unphysical)


def _with_p_value(figure: Figure, truth: Sample, generated: Sample) -> Figure:
    if not isinstance(figure, Estimate):
        return figure
    sizes = (figure.events * effective_size(s.weight) / len(s) for s in (truth, generated))
    return figure.model_copy(update={"p_value": ks_p_value(figure.value, *sizes)})


METRICS: dict[str, Metric] = {
    "c2st_auc": unless_not_computable(lambda c, rng: auc_figures(c.classifications, rng)),
    "c2st_weights": unless_not_computable(lambda c, rng: weight_figures(c.classifications)),
    "chi2_ndf": Resampled(observables_and_planes),
    "chi2_all": unless_not_computable(lambda c, rng: chi2_all(c.truth, c.generated, rng)),
    "unphysical_rate": unphysical_rate,
    "invalid_event_rate": invalid_events,
    "ks": kolmogorov_smirnov,
    "w1": Resampled(partial(per_observable, prepare=prepare_w1), averaged=True),
    **{name: histogram_distance(name) for name in HISTOGRAM_DISTANCES},
    "chi2_paper": chi2_paper,
    "corr_frobenius": Resampled(correlation_subjects, p_values=True),
    "swd": joint(swd),
    "fpd": joint(fpd),
    "kpd": joint(kpd),
    "memorisation": unless_not_computable(copied_events),
    "amplification": unless_not_computable(worth),
    "events_per_second": unless_not_computable(speed),
}
