"""Classifiers that learn to tell generated from true events, for two-sample tests.

Equal numbers of events are split 60/20/20: one part trains, the second chooses when to stop, the
third is only scored. All classifiers share the split and see absolute weights, as a density they
can learn; the test counts signed ones.
"""

import itertools
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from mleg_ray.evaluation.statistics.resampling import require_weight

MINIMUM_EVENTS = 500
TREES = "boosted trees"  # the quickest classifier, by its name
VALIDATION_SHARE, TEST_SHARE = 0.2, 0.2  # of the events; the others train

LARGEST_BATCH, SMALLEST_BATCH = 1000, 64
ROUNDS, PATIENCE = 12, 3
MINIMUM_STEPS = 20  # of a round; with thousands of events a round is an epoch
SCORED_AT_ONCE = 2000  # rows whose activations stay in the cache
CLIP = 100.0  # standard deviations: a generated 1e30 must not overflow the network's float32


@dataclass(frozen=True)
class Part:
    """Events of both samples: features (m, d), weights (m,), and which are generated (m,)."""

    features: FloatArray
    weight: FloatArray
    generated: np.ndarray

    def columns(self, used: list[int]) -> "Part":
        """Return the part with some of the features only."""
        return Part(self.features[:, used], self.weight, self.generated)


@dataclass(frozen=True)
class Scored:
    """A classifier's scores (m,), growing towards "generated", and signed weights by sample (m,).

    A weight is zero where an event belongs to the other sample.
    """

    score: FloatArray
    truth: FloatArray
    generated: FloatArray


@dataclass(frozen=True)
class Classification:
    """What one classifier made of the events it was not trained on.

    Scores are estimates of log p(generated) / p(truth). `events` is the number of each sample.
    """

    validation: Scored
    test: Scored
    events: int


# (train, validation, seed) -> what scores features (m, d) with numbers (m,)
Learner = Callable[[Part, Part, int], Callable[[FloatArray], FloatArray]]


def classify(
    truth: EventSample,
    generated: EventSample,
    rng: np.random.Generator,
    wanted: Collection[str] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Classification]:
    """Train gradient-boosted trees, an MLP, and the same MLP on the columns that are not derived.

    Features are those of all compared columns (`EventSample.features`), standardised on the truth.
    The third is left out where no column is derived: it would be the second. `wanted` names those
    to train, by default all; `progress` hears which share of them is done.

    Raises:
        NotComputableError: too few events, a value is not finite, or the weights cancel.
    """
    n = min(len(truth), len(generated))
    if n < MINIMUM_EVENTS:
        raise NotComputableError(
            f"there are {len(truth)} truth and {len(generated)} generated events; "
            f"{MINIMUM_EVENTS} of each are needed"
        )
    parts = _split(truth, generated, n, rng)
    names = [name for name, values in truth.features.items() for _ in range(values.shape[1])]
    low_level = [i for i, name in enumerate(names) if not truth.axes[name].derived]
    learners: dict[str, tuple[Learner, list[int]]] = {
        TREES: (boosted_trees, list(range(len(names)))),
        "MLP": (mlp, list(range(len(names)))),
    }
    if 0 < len(low_level) < len(names):
        learners["MLP, fields alone"] = (mlp, low_level)
    chosen = {name: how for name, how in learners.items() if wanted is None or name in wanted}
    result = {}
    for name, (learn, used) in chosen.items():
        train, validation, test = (part.columns(used) for part in parts)
        score = learn(train, validation, int(rng.integers(2**31)))
        result[name] = Classification(scored(score, validation), scored(score, test), events=n)
        progress(len(result) / len(chosen))
    return result


def boosted_trees(train: Part, validation: Part, seed: int) -> Callable[[FloatArray], FloatArray]:
    """Train histogram-based gradient boosting until `validation` gains nothing more."""
    # Training and sampling import this module and shall not wait for scikit-learn.
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(max_iter=300, early_stopping=True, random_state=seed)
    # On few cores more threads gain nothing here, and on a busy machine their spinning at barriers
    # takes thirty times as long.
    with threadpool_limits(1):
        trees.fit(
            train.features,
            train.generated,
            np.abs(train.weight),
            X_val=validation.features,
            y_val=validation.generated,
            sample_weight_val=np.abs(validation.weight),
        )

    def score(features: FloatArray) -> FloatArray:
        with threadpool_limits(1):
            result: FloatArray = trees.decision_function(features)
        return result

    return score


def mlp(train: Part, validation: Part, seed: int) -> Callable[[FloatArray], FloatArray]:
    """Train three hidden layers of 256 LeakyReLU units; keep the best round on `validation`.

    Adam starts at 1e-3 and decays along a cosine; training ends after 12 rounds, or when 3 in
    succession were no better.
    """
    x, y, w = _tensors(train)
    x_later, y_later, w_later = _tensors(validation)
    batch = min(max(len(x) // MINIMUM_STEPS, SMALLEST_BATCH), LARGEST_BATCH)
    steps = max(math.ceil(len(x) / batch), MINIMUM_STEPS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(x.shape[1])
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ROUNDS * steps)
        batches = _batches(len(x), batch)
        best, best_loss, worse = network.state_dict(), math.inf, 0
        for _ in range(ROUNDS):
            for rows in itertools.islice(batches, steps):
                logit = network(x[rows]).squeeze(1)
                loss = binary_cross_entropy_with_logits(logit, y[rows], w[rows])
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
            loss = binary_cross_entropy_with_logits(_scores(network, x_later), y_later, w_later)
            worse += 1
            if loss.item() < best_loss:
                best_loss, worse = loss.item(), 0
                best = {name: value.clone() for name, value in network.state_dict().items()}
            if worse == PATIENCE:
                break
    network.load_state_dict(best)
    return lambda features: _scores(network, _clipped(features)).double().numpy()


def _network(n_in: int) -> nn.Sequential:
    widths = [n_in, 256, 256, 256]
    hidden = [
        layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.LeakyReLU())
    ]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], 1))


def _batches(n: int, size: int) -> Iterator[Tensor]:
    """Yield row numbers for ever, epoch after epoch, each in a new order."""
    while True:
        yield from torch.split(torch.randperm(n), size)


@torch.no_grad()
def _scores(network: nn.Sequential, features: Tensor) -> Tensor:
    return torch.cat([network(rows).squeeze(1) for rows in torch.split(features, SCORED_AT_ONCE)])


def _tensors(part: Part) -> tuple[Tensor, Tensor, Tensor]:
    label, weight = (torch.from_numpy(a).float() for a in (part.generated, np.abs(part.weight)))
    return _clipped(part.features), label, weight


def _clipped(features: FloatArray) -> Tensor:
    return torch.from_numpy(np.clip(features, -CLIP, CLIP)).float()


def _split(
    truth: EventSample, generated: EventSample, n: int, rng: np.random.Generator
) -> list[Part]:
    """Return the parts that train, validate and test, of n random events of each sample."""
    classes = [drawn(sample, n, rng) for sample in (truth, generated)]
    mean, spread = scale(classes[0][0])
    features = (np.concatenate([x for x, _ in classes]) - mean) / spread
    weight = np.concatenate([w for _, w in classes])
    is_generated = np.repeat([False, True], n)
    tested, validating = round(TEST_SHARE * n), round(VALIDATION_SHARE * n)
    # The events were drawn in random order.
    which = np.tile(np.digitize(np.arange(n), [tested, tested + validating]), 2)
    masks = [which == part for part in (2, 1, 0)]
    parts = [Part(features[m], weight[m], is_generated[m]) for m in masks]
    test = parts[-1]
    require_weight("tested truth", test.weight[~test.generated])
    require_weight("tested generated", test.weight[test.generated])
    return parts


def scored(score: Callable[[FloatArray], FloatArray], part: Part) -> Scored:
    """Return the part's scores with the weights of each sample."""
    return Scored(
        score(part.features),
        truth=np.where(part.generated, 0.0, part.weight),
        generated=np.where(part.generated, part.weight, 0.0),
    )


def drawn(sample: EventSample, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return features (n, d) and weights (n,), of mean absolute value 1, of n random events.

    Raises:
        NotComputableError: a value is not finite, or all weights are zero.
    """
    rows = rng.choice(len(sample), n, replace=False)
    weight = sample.weight[rows]
    size = np.abs(weight).mean()
    if size == 0:
        raise NotComputableError(f"all weights of {sample.origin.name} are zero")
    return finite_features(sample, rows), weight / size


def finite_features(
    sample: EventSample, rows: slice | NDArray[np.integer] = slice(None)
) -> FloatArray:
    """Return the features (n, d) of some events, by default all; see `EventSample.features`.

    Raises:
        NotComputableError: a value is not finite.
    """
    features = {name: values[rows] for name, values in sample.features.items()}
    for name, values in features.items():
        if not np.isfinite(values).all():
            raise NotComputableError(f"values of {name} are not finite in {sample.origin.name}")
    return np.concatenate(list(features.values()), axis=1)


def scale(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and spread (d,) of features (n, d); the spread of a constant one is 1."""
    spread = features.std(axis=0)
    return features.mean(axis=0), np.where(spread > 0, spread, 1.0)
