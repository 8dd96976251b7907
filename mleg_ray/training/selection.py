"""Which snapshots of a run are kept, those closest to validation truth by KS, and which is last."""

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import scipy.stats
import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.metrics.histograms import prepare_relative_chi2
from mleg_ray.evaluation.samples.column import Column, FloatArray, columns_of
from mleg_ray.evaluation.statistics.distances import Preparation, prepare_ks, two_sample
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from mleg_ray.evaluation.statistics.resampling import SPLITS
from mleg_ray.events import Batch
from mleg_ray.models.base import GENERATED
from mleg_ray.randomness import Noise, derive_seed, stream
from mleg_ray.run import PlateauConfig, RunConfig
from mleg_ray.training.collapse import ImageWatch
from mleg_ray.training.loop import Progress, TrainingLoop

OVERSAMPLING = 5
TIE = 0.01  # relative: chance alone moves the ks_sum of a model that no longer changes by as much


class Snapshot(Config):
    """One judged moment of a run; `ks` and `chi2_paper` hold figures of each observable.

    The sum of the first chooses the snapshot, or `validation_loss` where the run says so; the
    second are there for the training curves, where they can be computed, and so are `images`, see
    `ImageWatch.figures`.
    """

    step: int
    ks_sum: float
    ks: dict[str, float]
    chi2_paper: dict[str, float] = {}
    images: dict[str, float] = {}
    losses: dict[str, float]
    validation_loss: float | None = None
    seconds: float
    finite: bool

    @property
    def distances(self) -> dict[str, float]:
        """All distances, by name."""
        return {"ks_sum": self.ks_sum} | {f"ks.{name}": ks for name, ks in self.ks.items()}

    def flat(self) -> dict[str, float]:
        """Return the numbers of the training curves, by name."""
        chi2 = {f"chi2_paper.{name}": value for name, value in self.chi2_paper.items()}
        curves = self.distances | chi2 | self.images | self.losses
        if self.validation_loss is not None:
            curves["validation_loss"] = self.validation_loss
        return {"step": self.step, "seconds": self.seconds} | curves


class SnapshotSelector:
    """Judges a loop's averaged model on a fixed validation sample and keeps the best weights.

    The generated events take the conditions and weights of the validation events, `OVERSAMPLING`
    times over, and the same random numbers at every call: the chance of the generated sample,
    which would drown the difference of two good snapshots, is small, and that of the truth is the
    same for all. An observable that is not finite, or of objects of which hardly any is generated,
    counts with the largest distance, KS = 1.
    """

    def __init__(self, run: RunConfig, dataset: Dataset) -> None:
        """Read the validation events of a run.

        Raises:
            UserError: an observable is unknown or has no weight, or shards are damaged.
        """
        truth = dataset.load("validation", run.selection.events)
        self._given = truth.choose(dataset.schema.conditions).repeat(OVERSAMPLING)
        self._definitions = dataset.manifest.definitions
        self._names = run.selection.observables
        self._seed = derive_seed(run.training.seed, "selection")
        known = columns_of(self._definitions.joined(truth))
        unknown = [name for name in self._names if name not in known]
        if unknown:
            raise ConfigError(
                f"selection.observables: the dataset has no {', '.join(unknown)}; "
                f"it has {', '.join(known)}"
            )
        self._truth = {name: known[name] for name in self._names}
        images = [field.name for field in dataset.schema.fields if field.shape]
        self._watch = ImageWatch(truth, images)
        self._weight = truth.weight.numpy()
        for name, column in self._truth.items():
            if (total := column.weights(self._weight).sum()) <= 0:
                raise ConfigError(
                    f"selection.observables: the weights of '{name}' sum to {total:g} over the "
                    "validation events; choose others"
                )
        self._by, self._keep = run.selection.by, run.selection.keep
        self._encode = run.objective.traits.encode
        self._unseen = truth
        self._batch: Batch | None = None
        self.history: list[Snapshot] = []
        self.kept: dict[int, dict[str, Any]] = {}  # weights by step, the best snapshot's first

    @property
    def best(self) -> Snapshot | None:
        """The finite snapshot with the smallest score; of `ks_sum` within `TIE` of it the last.

        Among models that cannot be told apart the one that was trained longest is the safest, but
        where it may have learned events by heart.
        """
        finite = [snapshot for snapshot in self.history if snapshot.finite]
        smallest = min(map(self._score, finite), default=math.inf)
        if self._by == "ks_sum":
            smallest *= 1 + TIE
        tied = [snapshot for snapshot in finite if self._score(snapshot) <= smallest]
        return tied[-1] if tied else None

    @property
    def scores(self) -> list[float]:
        """What the snapshots were judged by, oldest first; the smallest is the best."""
        return list(map(self._score, self.history))

    def _score(self, snapshot: Snapshot) -> float:
        if self._by == "ks_sum":
            return snapshot.ks_sum
        return math.inf if snapshot.validation_loss is None else snapshot.validation_loss

    @cached_property
    def floor(self) -> float:
        """The `ks_sum` of a perfect generator: of two samples of the truth, of the sizes compared.

        Halves of the validation events are n / 2 each, and a distance between n and m events falls
        as √(1/n + 1/m). Generated events have the conditions of true ones: so neighbours in the
        conditions are in different halves. Where there are many conditions these are no pairs, and
        a perfect generator may lie below.
        """
        rng = np.random.default_rng(derive_seed(self._seed, "floor"))
        n, sums = len(self._weight), []
        given = [column[:n].numpy() for column in self._given.columns.values()]
        statistics = [
            column.of_events(prepare_ks(column.values, column.weights(self._weight)))
            for column in self._truth.values()
        ]
        with np.errstate(all="ignore"):  # a half may be without an object, or without weight
            for _ in range(SPLITS):
                order = np.lexsort((rng.random(n), *given))
                first = np.empty(n, dtype=bool)
                first[order] = (np.arange(n) + np.repeat(rng.integers(2, size=n), 2)[:n]) % 2 == 0
                a, b = self._weight * first, self._weight * ~first
                sums.append(sum(statistic(a, b) for statistic in statistics))
        return float(np.mean(sums)) * math.sqrt((1 + 1 / OVERSAMPLING) / (2 + 2))

    def consider(self, progress: Progress, loop: TrainingLoop, seconds: float) -> Snapshot:
        """Judge the loop's model now, and keep its weights if it is among the best so far."""
        ks, chi2 = self._judged(loop) if progress.finite else ({}, {})
        snapshot = Snapshot(
            step=progress.step,
            ks_sum=sum(ks.values()) if ks else float(len(self._names)),
            ks=ks,
            chi2_paper=chi2,
            images=self._watch.figures(),
            losses={k: v for k, v in progress.losses.items() if math.isfinite(v)},
            validation_loss=self._loss(loop) if progress.finite else None,
            seconds=seconds,
            finite=progress.finite,
        )
        self.history.append(snapshot)
        self.kept = {
            one.step: self.kept.get(one.step) or _weights(loop) for one in self._best_ones()
        }
        return snapshot

    def _best_ones(self) -> list[Snapshot]:
        """Return the `keep` best finite snapshots: `best` first, others by their score.

        One that is not among them never will be again.
        """
        best = self.best
        others = [one for one in self.history if one.finite and one is not best]
        others.sort(key=self._score)
        return [best, *others[: self._keep - 1]] if best else []

    def _loss(self, loop: TrainingLoop) -> float | None:
        """Return the loss of the validation events if it chooses the snapshot, and is finite."""
        if self._by != "loss":
            return None
        if self._batch is None:
            device = next(loop.ema.parameters()).device
            noise = Noise(device)
            noise.seed(derive_seed(self._seed, "encode"))
            self._batch = self._encode(loop.feature_map, self._unseen.to(device), noise=noise)
        loss = loop.loss(self._batch)
        return loss if math.isfinite(loss) else None

    def _judged(self, loop: TrainingLoop) -> tuple[dict[str, float], dict[str, float]]:
        """Return the KS distance and, where it is finite, `chi2_paper` of each observable."""
        generated = self._generated(loop)
        ks = self._compared(generated, prepare_ks)
        chi2 = self._compared(generated, prepare_relative_chi2)
        return (
            {name: 1.0 if math.isnan(value) else value for name, value in ks.items()},
            {name: value for name, value in chi2.items() if math.isfinite(value)},
        )

    def _generated(self, loop: TrainingLoop) -> dict[str, Column]:
        device = next(loop.ema.parameters()).device
        generator = stream(self._seed, device)
        parts: list[dict[str, Column]] = []
        with torch.no_grad():
            for given in self._given.split(GENERATED.of(loop.feature_map.space.nbytes)):
                events = loop.observed(given.to(device), generator=generator).to("cpu")
                self._watch.add(events)
                parts.append(columns_of(self._definitions.joined(events).choose(self._names)))
        return {name: Column.concatenate([part[name] for part in parts]) for name in self._truth}

    def _compared(self, generated: Mapping[str, Column], prepare: Preparation) -> dict[str, float]:
        """Return a distance of each observable from the truth, NaN where there is none."""
        found = {}
        for name, truth in self._truth.items():
            made = generated[name]
            weights = truth.weights(self._weight), made.weights(self._given.weight.numpy())
            try:
                found[name] = two_sample(prepare, truth.values, made.values, *weights)
            except NotComputableError:
                found[name] = math.nan
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs."""
        return {
            "history": [snapshot.model_dump() for snapshot in self.history],
            "kept": self.kept,
            "shares": self._watch.shares,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.history = [Snapshot(**snapshot) for snapshot in state["history"]]
        self.kept = state["kept"]
        self._watch.shares = state["shares"]


def _weights(loop: TrainingLoop) -> dict[str, Any]:
    return {name: value.clone() for name, value in loop.ema.state_dict().items()}


def ks_rank_sum(ks: FloatArray) -> FloatArray:
    """Return the sum (n,) over observables of the ranks of snapshots by their KS distance (n, k).

    The smallest distance has the rank 1, equal ones share the mean of theirs, and what is not a
    number comes last. Snapshots of several trainings are ranked together; of all, the one with the
    smallest sum is best, whatever the scales of the distances: Hashemi et al., arXiv:1901.05282,
    whose text has the sum of the distances as well.

    >>> ks_rank_sum(np.array([[0.1, 0.9], [0.2, 0.1], [0.3, np.nan]]))
    array([3., 3., 6.])
    """
    ranks = scipy.stats.rankdata(np.where(np.isnan(ks), np.inf, ks), axis=0)
    total: FloatArray = ranks.sum(axis=1)
    return total


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
