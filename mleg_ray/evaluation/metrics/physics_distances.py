"""Fréchet and kernel physics distances; R. Kansal et al., arXiv:2211.10295, sec. III.

All observables together, each divided by the truth's largest absolute value. Both distances are
functions of sums over events, so they are computed from sums and never from pairs of events.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mleg_ray.evaluation.metrics.base import Metric, joint
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.evaluation.statistics.resampling import RESAMPLES, PooledSample, beside_floors

FEWEST_EVENTS, MOST_EVENTS = 20_000, 50_000
SIZES, BATCHES_OF_SIZE = 10, 20
CHUNKS = 200
KERNEL_BATCHES, KERNEL_BATCH_EVENTS = 10, 5000


def physics_distance(
    pooled: PooledSample,
    rng: np.random.Generator,
    compute: Callable[..., tuple[float, float]],
    *,
    p_value: bool,
) -> Estimate:
    """Return `extrapolated_fpd` or `median_kpd` of all observables of a pooled sample."""
    features = normalised(pooled)
    value, error = compute(features, pooled.truth, pooled.generated, rng)
    floors = [compute(features, a, b, rng)[0] for a, b in pooled.splits(rng)]
    return beside_floors(value, error, floors, pooled.n, p_value=p_value)


def normalised(pooled: PooledSample) -> FloatArray:
    """Return the pooled observables (N, d), divided by the truth's largest absolute values.

    Raises:
        NotComputableError: a value is not finite, or all truth values of an observable are equal.
    """
    features = np.stack([pooled.column(name) for name in pooled.numbers], axis=1)
    result: FloatArray = features / np.abs(features[pooled.whole_truth != 0]).max(axis=0)
    return result


@dataclass(frozen=True)
class Moments:
    """Sums over events: w, w², w x (d,), w x xᵀ (d, d), each with the same leading axes."""

    weight: FloatArray
    squares: FloatArray
    first: FloatArray
    second: FloatArray

    @staticmethod
    def of_chunks(features: FloatArray, weights: FloatArray, chunks: int) -> "Moments":
        """Sum over `chunks` equal runs of events (n, d) with weights (n,); leading axis (chunks,).

        At most chunks - 1 events are left over at the end.
        """
        size = len(weights) // chunks
        x = features[: chunks * size].reshape(chunks, size, -1)
        w = weights[: chunks * size].reshape(chunks, size)
        wx = x * w[:, :, None]
        return Moments(
            w.sum(axis=1), np.square(w).sum(axis=1), wx.sum(axis=1), x.transpose(0, 2, 1) @ wx
        )

    def combined(self, times: FloatArray) -> "Moments":
        """Sum the chunks, each counted `times` (batches, chunks); leading axis (batches,)."""
        return Moments(
            times @ self.weight,
            times @ self.squares,
            times @ self.first,
            np.tensordot(times, self.second, axes=1),
        )

    def mean_and_covariance(self) -> tuple[FloatArray, FloatArray]:
        """Return means (..., d) and unbiased covariances (..., d, d)."""
        total = self.weight[..., None]
        mean = self.first / total
        covariance = self.second / total[..., None] - mean[..., :, None] * mean[..., None, :]
        lost = (self.squares / np.square(self.weight))[..., None, None]
        return mean, covariance / (1 - lost)


def frechet_distance(first: Moments, second: Moments) -> FloatArray:
    """Return the squared Fréchet distances of Gaussians with these moments, by batch.

    The trace of (Σ₁ Σ₂)^½ is that of (Σ₁^½ Σ₂ Σ₁^½)^½, whose argument is symmetric.
    """
    (m1, c1), (m2, c2) = first.mean_and_covariance(), second.mean_and_covariance()
    values, vectors = np.linalg.eigh(c1)
    # Rounding, or negative weights, may leave a variance below zero.
    root = (vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]) @ np.swapaxes(
        vectors, -1, -2
    )
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ c2 @ root), 0, None)).sum(axis=-1)
    trace = np.trace(c1, axis1=-2, axis2=-1) + np.trace(c2, axis1=-2, axis2=-1)
    result: FloatArray = np.square(m1 - m2).sum(axis=-1) + trace - 2 * overlap
    return result


def extrapolated_fpd(
    features: FloatArray, a: FloatArray, b: FloatArray, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the Fréchet distance |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½) for infinite samples.

    The distance between finite samples is larger by a term in 1/N: it is averaged over 20 random
    batches of each of 10 sizes between 20,000 and 50,000 events (a quarter and all of them where
    there are fewer), and a straight line in 1/N is extrapolated to 0. A batch is a union of whole
    chunks, 1/200 of the shuffled events each, drawn without replacement. Batches drawn with it, or
    a line that may not cross zero, would leave a positive distance between equal distributions.

    The uncertainty, returned too, is that of the line and that of 200 bootstraps of chunks, in
    quadrature. Weights a, b (N,) are those of two samples of features (N, d).
    """
    rows = [rng.permutation(np.flatnonzero(weights)) for weights in (a, b)]
    events = min(map(len, rows))
    chunks = min(CHUNKS, events)
    moments = [
        Moments.of_chunks(features[r[:events]], w[r[:events]], chunks)
        for r, w in zip(rows, (a, b), strict=True)
    ]
    size = events // chunks
    most = min(MOST_EVENTS, events)
    fewest = min(FEWEST_EVENTS, most // 4)
    wanted = 1 / np.linspace(1 / fewest, 1 / most, SIZES)
    counts = np.clip(np.round(wanted / size), 1, chunks).astype(int)
    distances = []
    for count in counts:
        # The place of each chunk in random orders of them: those before `count` are the batch.
        orders = rng.random((len(moments), BATCHES_OF_SIZE, chunks)).argsort(axis=2).argsort(axis=2)
        times = (orders < count).astype(np.float64)
        batches = [m.combined(t) for m, t in zip(moments, times, strict=True)]
        distances.append(frechet_distance(*batches).mean())
    (_, intercept), covariance = np.polyfit(1 / (counts * size), distances, 1, cov=True)
    bootstraps = [m.combined(rng.poisson(1.0, (RESAMPLES, chunks)).astype(float)) for m in moments]
    spread = frechet_distance(*bootstraps).std(ddof=1)
    return float(intercept), math.hypot(math.sqrt(covariance[1, 1]), spread)


def median_kpd(
    features: FloatArray, a: FloatArray, b: FloatArray, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the squared maximum mean discrepancy with kernel (x·y / d + 1)⁴.

    The median of the unbiased estimates of 10 random batches of 5000 events (half of all where
    there are fewer); the uncertainty, returned too, is half the range between their 16 and 84
    percentiles. Weights a, b (N,) are those of two samples of features (N, d).
    """
    rows = [np.flatnonzero(weights) for weights in (a, b)]
    size = min(KERNEL_BATCH_EVENTS, *(len(r) // 2 for r in rows))
    values = []
    for _ in range(KERNEL_BATCHES):
        first, second = (rng.choice(r, size, replace=False) for r in rows)
        values.append(unbiased_mmd2(features[first], features[second], a[first], b[second]))
    low, middle, high = np.percentile(values, [16, 50, 84])
    return float(middle), float(high - low) / 2


def unbiased_mmd2(x: FloatArray, y: FloatArray, wx: FloatArray, wy: FloatArray) -> float:
    """Return E k(x, x') + E k(y, y') - 2 E k(x, y) over pairs of different events.

    x (n, d) and y (m, d) have weights (n,) and (m,). With z = (x / √d, 1) the kernel is (z·z')⁴ =
    ⟨q qᵀ, q' q'ᵀ⟩ for the products q = z ⊗ z, so the mean over all pairs is a scalar product of two
    sums over events: exact, and linear in their number.
    """
    (mean_x, own_x, share_x), (mean_y, own_y, share_y) = (
        _kernel_sums(features, weights) for features, weights in ((x, wx), (y, wy))
    )
    within_x = (np.sum(mean_x * mean_x) - own_x) / (1 - share_x)
    within_y = (np.sum(mean_y * mean_y) - own_y) / (1 - share_y)
    return float(within_x + within_y - 2 * np.sum(mean_x * mean_y))


def _kernel_sums(features: FloatArray, weights: FloatArray) -> tuple[FloatArray, float, float]:
    """Return Σ w q qᵀ, Σ w² k(x, x) and Σ w² for weights that sum to one."""
    n, d = features.shape
    w = weights / weights.sum()
    z = np.concatenate([features / math.sqrt(d), np.ones((n, 1))], axis=1)
    i, j = np.triu_indices(d + 1)
    # z_i z_j and z_j z_i stand together in the scalar product.
    q = z[:, i] * z[:, j] * np.where(i == j, 1.0, math.sqrt(2))
    mean = q.T @ (q * w[:, None])
    own = np.square(w) @ np.square(np.square(np.square(z).sum(axis=1)))
    return mean, float(own), float(w @ w)


FPD = Metric(
    title="FPD",
    meaning="Fréchet distance of the observables' Gaussians, for infinite samples",
    compute=joint(partial(physics_distance, compute=extrapolated_fpd, p_value=True)),
)
KPD = Metric(
    title="KPD",
    meaning="kernel distance of the observables' joint distributions",
    compute=joint(partial(physics_distance, compute=median_kpd, p_value=False)),
    effort=4,
)
