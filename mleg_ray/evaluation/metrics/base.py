"""What a metric is: its texts, and how its figures are computed of a comparison."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from pydantic import PositiveFloat, ValidationError

from mleg_ray.config import Config
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.statistics.estimate import (
    Direction,
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
)
from mleg_ray.evaluation.statistics.resampling import PooledSample, Subjects, estimates
from mleg_ray.randomness import derive_seed

ALL = "all"  # the subject of a figure of all observables together

T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """A generated sample, the truth that judges it and, if known, what the generator learned from.

    `seed` is the root of the random choices that metrics share. `progress` hears which share of a
    long computation is done. `classifiers` names those that are trained, None all.
    """

    truth: EventSample
    generated: EventSample
    training: EventSample | None = None
    seed: int = 0
    progress: Callable[[float], None] = lambda share: None
    classifiers: Collection[str] | None = None
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def pooled(self, rng: np.random.Generator) -> PooledSample:
        """Return the truth and random generated events in one table; see `PooledSample`."""
        return PooledSample(self.truth, self.generated, rng)

    @property
    def images(self) -> list[str]:
        """The names of the images that both samples have."""
        return [name for name in self.truth.images if name in self.generated.images]

    def shared(self, name: str, compute: Callable[[np.random.Generator], T]) -> T:
        """Return what several metrics need, computed once, of a random stream of its own.

        It raises what `compute` does.
        """
        if name not in self._shared:
            rng = np.random.default_rng(derive_seed(self.seed, f"evaluate/{name}"))
            self._shared[name] = compute(rng)
        result: T = self._shared[name]
        return result


# Every random choice comes from the generator.
Compute = Callable[[Comparison, np.random.Generator], Mapping[str, Figure]]


class MetricTexts(Config):
    """What reports say of a metric.

    Attributes:
        title: what it is called in tables.
        meaning: what its number is, and how to read it.
        of_all_events: it counts all events that there are; others compare equal numbers.
        headline: what is said of its figure at the head of a report, where `{subject}` and
            `{events}` stand for those of the figure. A metric without does not stand there.
    """

    title: str
    meaning: str
    of_all_events: bool = False
    headline: str = ""


class Metric(MetricTexts):
    """A figure of merit: all that it is.

    `compute` returns a figure of each subject: an observable, a plane, a constraint, a classifier.
    It may raise `NotComputableError`. Without subjects (the dataset declares no selection) the
    metric is not applicable. `effort` is about the time that it takes of many events, in units of
    that of a quick one. A figure that `grows` with the numbers of events cannot be set beside that
    of another number.
    """

    compute: Compute
    grows: bool = False
    effort: PositiveFloat = 1.0

    @property
    def texts(self) -> MetricTexts:
        """Its texts alone, which a scorecard keeps."""
        return MetricTexts(**self.model_dump(include=set(MetricTexts.model_fields)))

    def figures(self, comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
        """Return a figure of each subject; what cannot be computed says why."""
        try:
            return dict(self.compute(comparison, rng))
        except NotComputableError as error:
            reason = str(error)
        except ValidationError:  # an `Estimate` holds finite numbers only
            reason = "it is not finite: values are extreme"
        return {ALL: NotComputable(reason=reason)}


def resampled(
    subjects: Callable[[PooledSample], Subjects], *, p_values: bool = False, averaged: bool = False
) -> Compute:
    """Make a metric's computation of functions of pooled events' weights (see `resampling`).

    If it is `averaged`, its mean over kinds of objects is a figure too.
    """

    def compute(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
        pooled = comparison.pooled(rng)
        mean = pooled.object_shares if averaged else None
        [figures] = estimates(pooled, subjects(pooled), rng, p_values=p_values, mean=mean)
        return figures

    return compute


def directed(figures: Mapping[str, Figure], direction: Direction) -> dict[str, Figure]:
    """Return figures of which another direction is right."""
    return {
        subject: figure.model_copy(update={"direction": direction})
        if isinstance(figure, Estimate)
        else figure
        for subject, figure in figures.items()
    }


def joint(estimate: Callable[[PooledSample, np.random.Generator], Estimate]) -> Compute:
    """Make a metric's computation of one figure of all observables together."""
    return lambda comparison, rng: {ALL: estimate(comparison.pooled(rng), rng)}
