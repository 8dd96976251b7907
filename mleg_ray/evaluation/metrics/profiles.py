"""`profile_chi2`, `resolution`: how observables depend on the conditions."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy.optimize import nnls

from mleg_ray.evaluation.metrics.base import Comparison, Metric, directed
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.distances import JointStatistic
from mleg_ray.evaluation.statistics.estimate import (
    Curve,
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
)
from mleg_ray.evaluation.statistics.profiles import Profile, equal_bins, profile_chi2
from mleg_ray.evaluation.statistics.resampling import PooledSample, estimates

TERMS = ("linearity", "stochastic term", "noise term", "constant term")


def profile_figures(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return χ² / ndf of the profile of each number of the event in each condition that varies.

    The uncertainty is that of a noncentral χ² of as many degrees of freedom as terms.

    Raises:
        NotComputableError: see `PooledSample`.
    """
    conditions = [name for name, axis in comparison.truth.axes.items() if axis.condition]
    if not conditions:
        return {}
    pooled = comparison.pooled(rng)
    splits = list(pooled.splits(rng))
    figures: dict[str, Figure] = {}
    for condition in conditions:
        for name in pooled.numbers:
            if name in conditions:
                continue
            try:
                figure: Figure = _profile_figure(pooled, name, condition, splits)
            except NotComputableError as error:
                figure = NotComputable(reason=str(error))
            figures[f"{name}, {condition}"] = figure
    return figures


def _profile_figure(
    pooled: PooledSample, name: str, condition: str, splits: list[tuple[FloatArray, FloatArray]]
) -> Estimate:
    values, given = pooled.column(name), pooled.column(condition)
    index, bins = equal_bins(given, pooled.whole_truth)

    def profile(weights: FloatArray) -> Profile:
        return Profile.of(values, index, weights, bins)

    def compare(a: FloatArray, b: FloatArray) -> tuple[float, int]:
        chi2, ndf = profile_chi2(profile(a), profile(b))
        if ndf == 0:
            raise NotComputableError(f"no bin of {condition} holds 10 events of both samples")
        return chi2, ndf

    chi2, ndf = compare(pooled.truth, pooled.generated)
    floors = [chi2 / ndf for chi2, ndf in (compare(a, b) for a, b in splits)]
    place = Profile.of(given, index, pooled.whole_truth, bins).mean
    return Estimate(
        value=chi2 / ndf,
        uncertainty=math.sqrt(2 * (ndf + 2 * max(chi2 - ndf, 0.0))) / ndf,
        floor=float(np.mean(floors)),
        floor_spread=float(np.std(floors, ddof=1)),
        events=pooled.n,
        curves={
            f"{what}, {whose}": _curve(place, moment, error, found.events)
            for whose, weights in (("truth", pooled.truth), ("generated", pooled.generated))
            for found in [profile(weights)]
            for what, moment, error in (
                ("mean", found.mean, found.mean_error),
                ("width", found.width, found.width_error),
            )
        },
    )


def _curve(x: FloatArray, y: FloatArray, error: FloatArray, events: FloatArray) -> Curve:
    rows = np.flatnonzero(events > 0)
    x, y, error = (np.array([float(f"{v:.6g}") for v in values[rows]]) for values in (x, y, error))
    return Curve(x=tuple(x), y=tuple(y), error=tuple(error))


def linearity(energy: FloatArray, response: Profile) -> float:
    """Return k of <E_rec> ∝ E^k, 1 of a linear calorimeter, of the mean response at energies.

    ln R = (k - 1) ln E + const by least squares, the error of ln R being σ_R / R.
    """
    weight = response.mean / response.mean_error
    terms = np.stack([np.log(energy), np.ones(len(energy))], axis=1)
    [slope, _], *_ = np.linalg.lstsq(
        terms * weight[:, None], np.log(response.mean) * weight, rcond=None
    )
    return 1.0 + float(slope)


def resolution_terms(energy: FloatArray, response: Profile) -> FloatArray:
    """Return a, b and c of σ/E = a/√E ⊕ b/E ⊕ c, in units of the energy, of responses at energies.

    (σ/E)² = a² / E + b² / E² + c² is linear in the squares, which least squares find that are not
    negative. The error of (σ/E)² is that of the width: 2 (σ/E)² times its relative error.

    Source: Particle Data Group, Particle Detectors at Accelerators, sec. "Electromagnetic
    calorimeters".
    """
    square = np.square(response.width / response.mean)
    weight = response.width / (2 * response.width_error * square)
    unit = float(energy.mean())  # terms of like size
    e = energy / unit
    terms = np.stack([1 / e, 1 / e**2, np.ones(len(e))], axis=1)
    squares, _ = nnls(terms * weight[:, None], square * weight)
    found: FloatArray = np.sqrt(squares * np.array([unit, unit**2, 1.0]))
    return found


def prepare_resolution(pooled: PooledSample, name: str, true: str) -> JointStatistic:
    """Prepare linearity and terms of the resolution of a response to a true energy, see `TERMS`.

    Raises:
        NotComputableError: see `PooledSample.column`; fewer than three energies.
    """
    energy, values = pooled.column(true), pooled.column(name)
    if not (energy > 0).all():
        raise NotComputableError(f"some of {true} are not positive")
    index, bins = equal_bins(energy, pooled.whole_truth)

    def statistic(a: FloatArray, b: FloatArray) -> FloatArray:
        response = Profile.of(values, index, b, bins)
        place = Profile.of(energy, index, b, bins).mean
        kept = (response.width_error > 0) & (response.mean > 0)
        if np.count_nonzero(kept) < 3:
            return np.full(len(TERMS), np.nan)
        response = Profile(*(moment[kept] for moment in response))
        return np.array(
            [linearity(place[kept], response), *resolution_terms(place[kept], response)]
        )

    if not np.isfinite(statistic(pooled.truth, pooled.truth)).all():
        raise NotComputableError(f"three energies are needed; {true} has fewer bins with events")
    return statistic


def _resolution(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
    """Return linearity and resolution of each `detector.response` to a condition that varies."""
    truth = comparison.truth
    responses = {
        name: true
        for name, true in truth.definitions.responses().items()
        if name in truth.axes and true in truth.axes
    }
    if not responses:
        return {}
    pooled = comparison.pooled(rng)
    subjects = {
        name: partial(prepare_resolution, pooled, name, true) for name, true in responses.items()
    }
    found = estimates(pooled, subjects, rng, figures=len(TERMS))
    return {
        f"{name}, {term}": figure
        for term, figures in zip(TERMS, found, strict=True)
        for name, figure in directed(figures, "equal").items()
    }


PROFILE_CHI2 = Metric(
    title="Profiles, χ² / ndf",
    meaning="differences of means and widths in bins of a condition, with both errors; 1 at best",
    compute=profile_figures,
)
RESOLUTION = Metric(
    title="Response",
    meaning="k of <E_tot> ∝ E^k; a, b, c of σ/E = a/√E ⊕ b/E ⊕ c; those of the truth are right",
    compute=_resolution,
)
