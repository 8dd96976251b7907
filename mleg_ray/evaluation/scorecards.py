"""All figures of merit of one generated sample, as a versioned JSON document."""

import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Literal

import numpy as np

from mleg_ray import __version__
from mleg_ray.config import Config
from mleg_ray.console import written
from mleg_ray.definitions import Definitions
from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import ALL, Comparison, Metric, MetricTexts
from mleg_ray.evaluation.samples.sample import (
    NO_DEFINITIONS,
    Arrays,
    Axis,
    EventSample,
    Origin,
    comparable,
    from_arrays,
)
from mleg_ray.evaluation.samples.unphysical import ANY
from mleg_ray.evaluation.statistics.classifiers import TREES
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, Reading
from mleg_ray.evaluation.statistics.resampling import WEIGHTED_MEAN
from mleg_ray.randomness import derive_seed

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")

NULL_EFFORT = 0.2  # of a metric's: of its classifiers the quickest alone

# Which subject stands for a metric of many: all that break a rule, the mean over objects, or all
# observables together; where there is none of these, the worst.
REPRESENTATIVES = (ANY, WEIGHTED_MEAN, ALL)


class Scorecard(Config):
    """Figures by metric and subject, their meaning, and what is needed to compute them again.

    `null` are those of doing nothing, where it is known: of the highlights that do not grow with
    the numbers of events.
    """

    format_version: Literal[2] = 2
    truth: Origin
    generated: Origin
    axes: dict[str, Axis]
    definitions: Definitions = NO_DEFINITIONS
    metrics: dict[str, MetricTexts]
    figures: dict[str, dict[str, Figure]]
    null: dict[str, dict[str, Figure]] = {}
    seed: int
    seconds: float
    versions: dict[str, str]

    def highlights(self) -> Iterator[tuple[str, str, Figure]]:
        """Yield (metric, subject, figure) of those with a headline, in the registry's order.

        The number of events that can be used comes first, then the classifiers: one-dimensional
        agreement alone hides broken correlations.
        """
        for metric in dict.fromkeys((*METRICS, *self.figures)):
            if self.figures.get(metric) and self.metrics[metric].headline:
                yield metric, *representative(self.figures[metric])

    def headline(self) -> list[str]:
        """Return the highlights as lines of text."""
        lines = []
        for metric, subject, figure in self.highlights():
            line = f"{metric} ({subject}): {figure}"
            if (nothing := self.doing_nothing(metric)) is not None:
                line += f"; doing nothing {written(nothing.value, nothing.uncertainty)}"
            lines.append(line)
        return lines

    def doing_nothing(self, metric: str) -> Estimate | None:
        """Return the figure of doing nothing that stands for a metric, if there is one."""
        if not self.null.get(metric):
            return None
        _, figure = representative(self.null[metric])
        return figure if isinstance(figure, Estimate) else None

    def to_json(self) -> str:
        """Return the document, verdicts included; `Scorecard.model_validate_json` reads it."""
        return self.model_dump_json(indent=2) + "\n"


def representative(figures: Mapping[str, Figure]) -> tuple[str, Figure]:
    """Return the subject and figure that stand for a metric: see `REPRESENTATIVES`."""
    for subject in REPRESENTATIVES:
        if subject in figures:
            return subject, figures[subject]
    return worst(figures)


def worst(figures: Mapping[str, Figure]) -> tuple[str, Figure]:
    """Return the subject farthest above its floor, and of several there that of the largest value.

    Where more is better it is that of the least value, and of limits the least if all are limits.
    One that is not computable stands for the others only if none is.
    """
    estimates = [(s, figure) for s, figure in figures.items() if isinstance(figure, Estimate)]
    if not estimates:
        limits = [(s, f) for s, f in figures.items() if isinstance(f, Reading) and f.lower_limit]
        return min(limits, key=lambda item: item[1].value, default=next(iter(figures.items())))

    def badness(item: tuple[str, Estimate]) -> tuple[float, float]:
        _, figure = item
        more_is_better = figure.direction == "higher"
        return (-figure.value, 0.0) if more_is_better else (figure.significance, figure.value)

    return max(estimates, key=badness)


def scorecard(
    truth: EventSample | Arrays,
    generated: EventSample | Arrays,
    *,
    training: EventSample | Arrays | None = None,
    null: EventSample | Arrays | None = None,
    seed: int = 0,
    metrics: Mapping[str, Metric] | Iterable[str] = METRICS,
    progress: Callable[[float, str], None] = lambda share, metric: None,
) -> Scorecard:
    """Compute every metric; each has its own random stream, whatever others are computed.

    Samples come from `sample.from_dataset` or `sample.from_arrays` (which takes weights, units and
    constraints); plain columns, a data frame or a matrix (n, d) of any generator will do.

    `metrics` are one or some of `METRICS`, by name, or a mapping of names to the caller's own
    `Metric`s.

    `training` are the events that the generator learned from, if they are at hand, and `null` what
    doing nothing makes (see `samples.datasets.of_independent_fields`), which boosted trees alone
    judge. `progress` hears which share of the work is done, and the metric at work, "" at the end.

    Raises:
        ConfigError: a metric that does not exist, or is none.
        DataError: the samples do not have the same columns, units and constraints.
    """
    metrics = _chosen(metrics)
    truth = _sample(truth, "truth")
    generated = comparable(truth, _sample(generated, "generated"))
    if training is not None:
        training = comparable(truth, _sample(training, "training"))
    if null is not None:
        null = comparable(truth, _sample(null, "null"))
    seed = operator.index(seed)
    name, begun, effort = "", 0.0, 0.0
    comparison = Comparison(
        truth, generated, training, seed, lambda share: progress(begun + share * effort, name)
    )
    figures: dict[str, dict[str, Figure]] = {}
    nothing: dict[str, dict[str, Figure]] = {}
    work = [(name, comparison, figures, metric.effort) for name, metric in metrics.items()]
    if null is not None:
        rival = Comparison(truth, null, None, seed, classifiers=(TREES,))
        work += [
            (name, rival, nothing, NULL_EFFORT * metric.effort)
            for name, metric in metrics.items()
            if metric.headline and not metric.grows
        ]
    work.sort(key=lambda item: -item[-1])  # the longest first: others share what they compute
    whole = sum(own for *_, own in work)
    start = time.monotonic()
    for name, compared, found, own in work:
        progress(begun, name)
        effort = own / whole
        rng = np.random.default_rng(derive_seed(seed, f"evaluate/{name}"))
        with np.errstate(all="ignore"):  # of what is not finite in the end the figure says so
            found[name] = metrics[name].figures(compared, rng)
        begun += effort
    progress(1.0, "")
    return Scorecard(
        truth=truth.origin,
        generated=generated.origin,
        axes=dict(truth.axes),
        definitions=truth.definitions,
        metrics={name: metric.texts for name, metric in metrics.items()},
        figures={name: figures[name] for name in metrics},
        null={name: nothing[name] for name in metrics if name in nothing},
        seed=seed,
        seconds=time.monotonic() - start,
        versions={"mleg-ray": __version__} | {name: version(name) for name in LIBRARIES},
    )


def _chosen(metrics: Mapping[str, Metric] | Iterable[str]) -> Mapping[str, Metric]:
    if isinstance(metrics, Mapping):
        for name, metric in metrics.items():
            if not isinstance(metric, Metric):
                raise ConfigError(
                    f"metric {name!r} is a {type(metric).__name__}; make it a Metric(title=..., "
                    "meaning=..., compute=FUNCTION)"
                )
        return metrics
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise ConfigError(f"no metric {unknown[0]!r}; there are {', '.join(METRICS)}")
    return {name: METRICS[name] for name in names}


def _sample(events: EventSample | Arrays, name: str) -> EventSample:
    return events if isinstance(events, EventSample) else from_arrays(events, name=name)
