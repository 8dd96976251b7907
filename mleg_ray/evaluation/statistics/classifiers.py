"""Classifiers that learn to tell generated from true events, for two-sample tests.

Equal numbers of events are split 60/20/20: one part trains, the second chooses when to stop, the
third is only scored. All classifiers share the split and see absolute weights, as a density they
can learn; the test counts signed ones.
"""

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.images import Images
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
CHANNELS = (16, 32, 64)  # of the conv net, that halves rows and columns each time
SMALLEST_CELLS = 0.05  # the share of lit cells that the conv net sees on a linear scale
CLIP = 100.0  # standard deviations: a generated 1e30 must not overflow the network's float32


@dataclass(frozen=True)
class Part:
    """Events of both samples: features (m, d), weights (m,), which are generated (m,), images."""

    features: FloatArray
    weight: FloatArray
    generated: np.ndarray
    images: Mapping[str, Images] = field(default_factory=dict)

    def columns(self, used: list[int]) -> "Part":
        """Return the part with some of the features only."""
        return replace(self, features=self.features[:, used])

    def above(self, thresholds: Mapping[str, float]) -> "Part":
        """Return the part with all cells up to the thresholds of their images empty."""
        lit = {name: images.above(thresholds[name]) for name, images in self.images.items()}
        return replace(self, images=lit)


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


# (train, validation, seed) -> what scores a part's events with numbers (m,)
Learner = Callable[[Part, Part, int], Callable[[Part], FloatArray]]

# Numbers of rows (B,) -> what a network takes of them (B, k)
Inputs = Callable[[Tensor], Tensor]


def classify(
    truth: EventSample,
    generated: EventSample,
    rng: np.random.Generator,
    wanted: Collection[str] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Classification]:
    """Train gradient-boosted trees, an MLP, and a network on what is not derived.

    Features are those of all compared columns (`EventSample.features`), standardised on the truth.
    The third is the same MLP on the fields alone, and left out where no column is derived: it would
    be the second. Of events with images it is a conv net on these and the other fields, conditions
    among them; where the dataset states a threshold, another one sees the cells above it alone.
    `wanted` names those to train, by default all; `progress` hears which share of them is done.

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
    whole, fields = (partial(Part.columns, used=u) for u in (list(range(len(names))), low_level))
    learners: dict[str, tuple[Learner, Callable[[Part], Part]]] = {
        TREES: (_of_features(boosted_trees), whole),
        "MLP": (_of_features(mlp), whole),
    }
    thresholds = {name: truth.definitions.threshold(name) for name in parts[0].images}
    if parts[0].images:
        learners["conv net"] = (conv_net, fields)
    elif 0 < len(low_level) < len(names):
        learners["MLP, fields alone"] = (_of_features(mlp), fields)
    if any(thresholds.values()):
        lit = partial(Part.above, thresholds=thresholds)
        learners["conv net, above threshold"] = (conv_net, lambda part: lit(fields(part)))
    chosen = {name: how for name, how in learners.items() if wanted is None or name in wanted}
    result = {}
    for name, (learn, look) in chosen.items():
        train, validation, test = (look(part) for part in parts)
        score = learn(train, validation, int(rng.integers(2**31)))
        later, last = (scored(score(part), part) for part in (validation, test))
        result[name] = Classification(later, last, events=n)
        progress(len(result) / len(chosen))
    return result


def _of_features(
    learn: Callable[[Part, Part, int], Callable[[FloatArray], FloatArray]],
) -> Learner:
    """Make a learner of one that scores features (m, d)."""

    def learner(train: Part, validation: Part, seed: int) -> Callable[[Part], FloatArray]:
        score = learn(train, validation, seed)
        return lambda part: score(part.features)

    return learner


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
    """Train three hidden layers of 256 LeakyReLU units, see `_fitted`."""

    def inputs(features: FloatArray) -> Inputs:
        return _clipped(features).__getitem__

    network = _fitted(
        partial(_network, train.features.shape[1]),
        (inputs(train.features), train),
        (inputs(validation.features), validation),
        seed,
    )
    return lambda features: _scores(network, inputs(features), len(features)).double().numpy()


def conv_net(train: Part, validation: Part, seed: int) -> Callable[[Part], FloatArray]:
    """Train a convolutional network on images and features, see `_fitted` and `ConvNet`.

    Cells y are seen as ± ln(1 + |y| / s), s the 5% quantile of the truth's lit cells, over the root
    mean square of these.
    """
    true = np.flatnonzero(~train.generated)
    scales = {name: _log_scale(images.take(true)) for name, images in train.images.items()}

    def inputs(part: Part) -> Inputs:
        numbers = _clipped(part.features)
        cells = hstack(
            [_on_log_scale(part.images[name], *scale) for name, scale in scales.items()],
            format="csr",
        )

        def take(rows: Tensor) -> Tensor:
            return torch.cat([numbers[rows], torch.from_numpy(cells[rows.numpy()].toarray())], 1)

        return take

    network = _fitted(
        partial(ConvNet, train.features.shape[1], [i.shape for i in train.images.values()]),
        (inputs(train), train),
        (inputs(validation), validation),
        seed,
    )
    return lambda part: _scores(network, inputs(part), len(part.weight)).double().numpy()


class ConvNet(nn.Module):
    """A logit of numbers (B, d) and images, which follow them in a flat vector cell by cell.

    Of an image (*layers, rows, columns), whether a cell is lit stands beside what it holds; layers
    are channels. Three convolutions with steps of two leave an eighth of rows and columns, in which
    places stay apart; a layer of 256 units sees these and the numbers.
    """

    def __init__(self, numbers: int, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        planes = [(math.prod(shape[:-2]), *shape[-2:]) for shape in shapes]
        self.shapes = planes
        self.sizes = [numbers, *map(math.prod, planes)]
        self.towers = nn.ModuleList([_tower(2 * channels) for channels, *_ in planes])
        cells = [math.prod(-(-n // 2 ** len(CHANNELS)) for n in plane) for _, *plane in planes]
        seen = numbers + CHANNELS[-1] * sum(cells)
        self.head = nn.Sequential(nn.Linear(seen, 256), nn.LeakyReLU(), nn.Linear(256, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 1) of numbers and images (B, k)."""
        numbers, *flat = torch.split(x, self.sizes, dim=1)
        seen = [numbers]
        for tower, shape, cells in zip(self.towers, self.shapes, flat, strict=True):
            image = cells.reshape(-1, *shape)
            seen.append(tower(torch.cat([image, (image != 0).float()], dim=1)))
        logit: Tensor = self.head(torch.cat(seen, dim=1))
        return logit


def _tower(channels: int) -> nn.Sequential:
    widths = itertools.pairwise((channels, *CHANNELS))
    convolutions = [
        layer
        for a, b in widths
        for layer in (nn.Conv2d(a, b, 3, stride=2, padding=1), nn.LeakyReLU())
    ]
    return nn.Sequential(*convolutions, nn.Flatten())


def _log_scale(images: Images) -> tuple[float, float]:
    """Return s and the root mean square of ln(1 + |y| / s) over lit cells y; see `conv_net`."""
    lit = np.abs(images.cells.data)
    if len(lit) == 0:
        return 1.0, 1.0
    smallest = float(np.quantile(lit, SMALLEST_CELLS))
    return smallest, float(np.sqrt(np.mean(np.square(np.log1p(lit / smallest)))))


def _on_log_scale(images: Images, smallest: float, spread: float) -> csr_array[np.float32]:
    cells = images.cells.copy()
    cells.data[:] = np.sign(cells.data) * np.log1p(np.abs(cells.data) / smallest) / spread
    return cells


def _fitted(
    build: Callable[[], nn.Module],
    train: tuple[Inputs, Part],
    validation: tuple[Inputs, Part],
    seed: int,
) -> nn.Module:
    """Train a network on inputs of a part; keep the best round on those of `validation`.

    Adam starts at 1e-3 and decays along a cosine; training ends after 12 rounds, or when 3 in
    succession were no better.
    """
    (take, (y, w)), (take_later, (y_later, w_later)) = (
        (inputs, _tensors(part)) for inputs, part in (train, validation)
    )
    batch = min(max(len(y) // MINIMUM_STEPS, SMALLEST_BATCH), LARGEST_BATCH)
    steps = max(math.ceil(len(y) / batch), MINIMUM_STEPS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ROUNDS * steps)
        batches = _batches(len(y), batch)
        best, best_loss, worse = network.state_dict(), math.inf, 0
        for _ in range(ROUNDS):
            for rows in itertools.islice(batches, steps):
                logit = network(take(rows)).squeeze(1)
                loss = binary_cross_entropy_with_logits(logit, y[rows], w[rows])
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
            scores = _scores(network, take_later, len(y_later))
            loss = binary_cross_entropy_with_logits(scores, y_later, w_later)
            worse += 1
            if loss.item() < best_loss:
                best_loss, worse = loss.item(), 0
                best = {name: value.clone() for name, value in network.state_dict().items()}
            if worse == PATIENCE:
                break
    network.load_state_dict(best)
    return network


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
def _scores(network: nn.Module, take: Inputs, n: int) -> Tensor:
    parts = torch.split(torch.arange(n), SCORED_AT_ONCE)
    return torch.cat([network(take(rows)).squeeze(1) for rows in parts])


def _tensors(part: Part) -> tuple[Tensor, Tensor]:
    label, weight = (torch.from_numpy(a).float() for a in (part.generated, np.abs(part.weight)))
    return label, weight


def _clipped(features: FloatArray) -> Tensor:
    return torch.from_numpy(np.clip(features, -CLIP, CLIP)).float()


def _split(
    truth: EventSample, generated: EventSample, n: int, rng: np.random.Generator
) -> list[Part]:
    """Return the parts that train, validate and test, of n random events of each sample."""
    classes = [drawn(sample, n, rng) for sample in (truth, generated)]
    xs, ws, images = zip(*classes, strict=True)
    mean, spread = scale(xs[0])
    features = (np.concatenate(xs) - mean) / spread
    weight = np.concatenate(ws)
    both = {
        name: Images.concatenate([of[name] for of in images])
        for name in images[0]
        if name in images[1]
    }
    is_generated = np.repeat([False, True], n)
    tested, validating = round(TEST_SHARE * n), round(VALIDATION_SHARE * n)
    # The events were drawn in random order.
    which = np.tile(np.digitize(np.arange(n), [tested, tested + validating]), 2)
    masks = [which == part for part in (2, 1, 0)]
    parts = [
        Part(
            features[m],
            weight[m],
            is_generated[m],
            {name: some.take(np.flatnonzero(m)) for name, some in both.items()},
        )
        for m in masks
    ]
    test = parts[-1]
    require_weight("tested truth", test.weight[~test.generated])
    require_weight("tested generated", test.weight[test.generated])
    return parts


def scored(score: FloatArray, part: Part) -> Scored:
    """Return the scores (m,) of a part with the weights of each sample."""
    return Scored(
        score,
        truth=np.where(part.generated, 0.0, part.weight),
        generated=np.where(part.generated, part.weight, 0.0),
    )


def drawn(
    sample: EventSample, n: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, dict[str, Images]]:
    """Return features (n, d), weights (n,), of mean absolute value 1, and images of random events.

    Raises:
        NotComputableError: a value is not finite, or all weights are zero.
    """
    rows = rng.choice(len(sample), n, replace=False)
    weight = sample.weight[rows]
    size = np.abs(weight).mean()
    if size == 0:
        raise NotComputableError(f"all weights of {sample.origin.name} are zero")
    images = {name: some.take(rows) for name, some in sample.images.items()}
    for name, some in images.items():
        if not np.isfinite(some.cells.data).all():
            raise NotComputableError(f"cells of {name} are not finite in {sample.origin.name}")
    return finite_features(sample, rows), weight / size, images


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
