"""How many events show a difference of two samples, or would have one as large by chance.

The χ² of two samples of n events each has a non-centrality λ that grows in proportion to n. So what
some events say of λ / n tells how many are needed to reach any significance: more than there are,
or fewer. Of any squared difference as well is told how many events fluctuate by as much.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import Histogram, Shares
from mleg_ray.evaluation.statistics.estimate import (
    FLOOR_SIGMAS,
    LIMIT_SIGMAS,
    Curve,
    Estimate,
    Figure,
    Reading,
)

LEVEL = float(stats.norm.sf(FLOOR_SIGMAS))  # the chance that any of the tests errs
POWER = 0.5  # the chance that a difference is seen
POINTS = 41  # of a curve
LEAST_P_VALUE = 1e-300  # of what is told apart: 37σ


@dataclass(frozen=True)
class SquaredDifference(ABC):
    """How far two samples differ: 1 over a number of events but for a factor, which is `reached`.

    `value` is an estimate without bias, so that it may be negative; `null_spread` is the standard
    deviation that its `uncertainty` would be if the samples did not differ. It is then distributed
    as a χ² of `ndf` less its mean.
    """

    value: float
    uncertainty: float
    null_spread: float
    ndf: float

    @property
    def sigmas(self) -> float:
        """The significance of the difference, at most that of `LEAST_P_VALUE`."""
        return float(stats.norm.isf(max(self.p_value, LEAST_P_VALUE)))

    @property
    def p_value(self) -> float:
        """The chance of a difference as large if there is none: value and spread as a χ² have."""
        chi2 = self.ndf + math.sqrt(2 * self.ndf) * self.value / self.null_spread
        return float(stats.chi2.sf(chi2, self.ndf))

    def needed(self, level: float) -> tuple[float, float]:
        """Return the number of events at which `reached` is, and its error.

        The `value` must be positive.
        """
        events = self.reached(level) / self.value
        return events, events * self.uncertainty / self.value

    def least(self, level: float) -> float:
        """Return the number of events that `needed` is above, at 2σ."""
        return self.reached(level) / (max(self.value, 0.0) + LIMIT_SIGMAS * self.uncertainty)

    def floor(self, level: float) -> float:
        """Return what `least` is on average of samples that do not differ."""
        return self.reached(level) / (LIMIT_SIGMAS * self.null_spread)

    def curves(self, tests: int) -> dict[str, Curve]:
        """Return pictures of one of so many `tests`, by name."""
        return {}

    @abstractmethod
    def reached(self, level: float) -> float:
        """Return the `value` times the number of events that is asked for."""


class Noncentrality(SquaredDifference):
    """What one event of each sample adds to the non-centrality of a χ² test of `ndf`."""

    @staticmethod
    def of_histograms(
        truth: Histogram, generated: Histogram, design: float = 1.0
    ) -> "Noncentrality":
        """Compare two histograms of the same bins, shape (bins,).

        Of n (effective) events on each side χ² = n Σ (T - G)² / S of the shares T and G of the
        weights, and S the sum of both shares of the squared weights. The expectation of the
        estimated (T - G)² is larger by the variances of the shares, which are taken off; and as
        the estimated S depends on the same events, 2 (v_t - v_g)² / S³ to second order. The errors
        are those of `PearsonTest`, that of equal samples, for samples of any size; the fixed totals
        take one of the degrees of freedom. The `design` effect multiplies variances.
        """
        parts = [Shares.of(sample) for sample in (truth, generated)]
        t, g = parts
        filled = t.squares + g.squares > 0
        both = np.where(filled, t.squares + g.squares, 1.0)
        slope = (t.share - g.share) / both
        noise = design * (t.variance + g.variance) / both
        uneven = np.square(design * (t.variance - g.variance)) / both**3
        ndf = int(np.count_nonzero(filled)) - 1
        # Of the Poisson variances, each degree of freedom has its part.
        spread = design * (t.squares * t.one_event + g.squares * g.one_event) / both
        null = 2 * float(spread @ spread) * ndf / (ndf + 1)
        first = sum(
            part.first_order(sign * 2 * slope - np.square(slope))
            for sign, part in zip((+1, -1), parts, strict=True)
        )
        return Noncentrality(
            value=float(np.sum(np.square(slope) * both - noise - 2 * uneven)) / design,
            uncertainty=math.sqrt(max(design * first - null, null)) / design,
            null_spread=math.sqrt(null) / design,
            ndf=ndf,
        )

    @staticmethod
    def of_area(area: float, uncertainty: float, null_spread: float) -> "Noncentrality":
        """Take the square of an AUC's distance from ½, in units of its spread, as a χ² of one.

        Of n scored events of each sample the spread is √((2 n + 1) / 12 n²), so that λ is
        6 n (AUC - ½)². A classifier that knows nothing has the given `null_spread`.
        """
        square, null = (area - 0.5) ** 2, 2 * null_spread**4
        variance = uncertainty**2
        return Noncentrality(
            value=6 * (square - variance),
            uncertainty=6 * math.sqrt(max(4 * square * variance - 2 * variance**2, null)),
            null_spread=6 * math.sqrt(null),
            ndf=1,
        )

    def of_events(self, each: float) -> "Noncentrality":
        """Return what an event adds that has so many of the objects that were counted."""
        return replace(
            self,
            value=each * self.value,
            uncertainty=each * self.uncertainty,
            null_spread=each * self.null_spread,
        )

    def curves(self, tests: int) -> dict[str, Curve]:
        """Return the significance to be expected of one of so many `tests`."""
        return {"significance": self.curve(tests)}

    def curve(self, tests: int) -> Curve:
        """Return the significance (y) to be expected of numbers of events (x) of each sample.

        It is that of the largest of so many `tests`, up to three times the number that reaches it.
        """
        events, _ = self.needed(LEVEL / tests)
        x = events * np.geomspace(1 / 30, 3, POINTS)

        def significance(value: float) -> FloatArray:
            chi2 = special.chndtrix(POWER, self.ndf, x * max(value, 0.0))
            p = np.minimum(tests * stats.chi2.sf(chi2, self.ndf), 0.5)
            found: FloatArray = stats.norm.isf(p)
            return found

        low, high = (significance(self.value + sign * self.uncertainty) for sign in (-1, +1))
        y, error = significance(self.value), (high - low) / 2
        return Curve(x=_short(x), y=_short(y), error=_short(error))

    def reached(self, level: float) -> float:
        """Return the λ at which χ² exceeds its critical value half of the times."""
        critical = stats.chi2.isf(level, self.ndf)
        return float(special.chndtrinc(critical, self.ndf, POWER))


@dataclass(frozen=True)
class SizedTest:
    """A test, and the numbers of true and generated events that it took."""

    test: SquaredDifference
    truth: int
    generated: int


def numbers_of_events(tests: Mapping[str, SizedTest], claimed: int) -> dict[str, Figure]:
    """Return how many events every test needs (see `needed`), or the least that it does.

    A test has a number where it has seen the difference: at 3σ, the chance that any
    of the tests errs being shared equally among them. `claimed` is the number of events of the
    whole sample.
    """
    level = LEVEL / max(1, len(tests))
    figures: dict[str, Figure] = {}
    for name, sized in tests.items():
        test = sized.test
        if test.p_value < level:
            events, error = test.needed(level)
            figures[name] = Estimate(
                value=events,
                uncertainty=error,
                floor=test.floor(level),
                floor_spread=0.0,
                events=sized.generated,
                direction="higher",
                p_value=test.p_value,
                sigmas=test.sigmas,
                curves=test.curves(len(tests)),
            )
            continue
        least = test.least(level)
        note = f"{sized.truth:,} true events resolve no more"
        if least < claimed:
            needed = float(f"{sized.truth * claimed / least:.2g}")
            note += f"; to judge all {claimed:,} would take about {needed:,.0f}"
        figures[name] = Reading(value=least, note=note, lower_limit=True)
    return figures


def _short(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)
