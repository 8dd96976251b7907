"""Signal over background with sWeights, as real calibration samples have them."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import FiniteFloat, PositiveFloat, SerializeAsAny, model_validator
from scipy.optimize import minimize
from torch import Tensor

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES, cut
from mleg_ray.catalog.sources.densities import DENSITIES, DensityConfig
from mleg_ray.catalog.sources.drawn import Drawn, DrawnConfig, require_drawn, truncated_normal
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field
from mleg_ray.physics.splot import sweights

Array = NDArray[np.float64]

MASS, SIGNAL, WEIGHT = "mass", "signal", "weight"
FEWEST = 20  # events of signal, and of background, of a shard on average: of fewer a fit may fail
REACH = 3.0  # widths from the peak that are in the window
# How far a fit may move yields over events, the peak in widths, and the logarithms of both shapes:
# without a bound a peak of no width around one event would have an infinite likelihood.
BOUNDS = ((1e-6, 2.0), (1e-6, 2.0), (-REACH, REACH), (-1.5, 1.5), (-3.0, 3.0))


class MassSpectrum(Config):
    """A normal `peak` over a background that falls as exp(-`slope` m), within a window.

    Masses and `width` in GeV, `slope` in 1/GeV; both are normalised between `low` and `high`, which
    hold three widths to both sides of the peak.
    """

    low: FiniteFloat
    high: FiniteFloat
    peak: FiniteFloat
    width: PositiveFloat
    slope: PositiveFloat

    @model_validator(mode="after")
    def _peak_is_inside(self) -> Self:
        reach = REACH * self.width
        if not self.low + reach <= self.peak <= self.high - reach:
            raise ConfigError(
                f"peak: {self.peak:g} GeV and {REACH:g} widths to both sides are not in the window "
                f"of {self.low:g} to {self.high:g} GeV; make the peak narrower or the window wider"
            )
        return self

    def sample(self, rng: np.random.Generator, signal: NDArray[np.bool_]) -> Array:
        """Draw a mass (n,), GeV, of each event that is `signal` (n,) or background."""
        n = len(signal)
        peak = truncated_normal(rng, n, self.peak, self.width, self.low, self.high)
        span = -math.expm1(-self.slope * (self.high - self.low))
        below = self.low - np.log1p(-span * rng.random(n)) / self.slope
        return np.where(signal, peak, below)

    def densities(self, mass: Array) -> Array:
        """Return the densities (n, 2) of signal and background, 1/GeV, at masses (n,), GeV."""
        shapes = (self.peak, self.width, self.slope)
        tensors = (torch.tensor(shape, dtype=torch.float64) for shape in shapes)
        return np.asarray(self._densities(torch.from_numpy(mass), *tensors).numpy())

    def fitted(self, mass: Array) -> Self:
        """Return the spectrum whose peak, width and slope fit masses (n,), GeV, best.

        That is the extended maximum likelihood of these and of both yields.
        """
        events = torch.from_numpy(mass)

        def loss(numbers: Array) -> tuple[float, Array]:
            moved = torch.from_numpy(numbers).requires_grad_()
            total = self._densities(events, *self._moved(moved)) @ moved[:2]
            value = moved[:2].sum() - total.log().mean()
            (gradient,) = torch.autograd.grad(value, moved)
            return value.item(), gradient.numpy()

        start = np.array([0.5, 0.5, 0.0, 0.0, 0.0])
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=BOUNDS,
            options={"ftol": 1e-13, "gtol": 1e-8},
        )
        shapes = (shape.item() for shape in self._moved(torch.from_numpy(found.x)))
        return self.model_copy(update=dict(zip(("peak", "width", "slope"), shapes, strict=True)))

    def _moved(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the shapes of the numbers (5,) of a fit, those of `BOUNDS`."""
        peak = self.peak + self.width * numbers[2]
        return peak, self.width * numbers[3].exp(), self.slope * numbers[4].exp()

    def _densities(self, mass: Tensor, peak: Tensor, width: Tensor, slope: Tensor) -> Tensor:
        below, up_to = (torch.special.ndtr((end - peak) / width) for end in (self.low, self.high))
        height = width * math.sqrt(2 * math.pi) * (up_to - below)
        signal = (-((mass - peak) / width).square() / 2).exp() / height
        span = -(-slope * (self.high - self.low)).expm1()
        background = slope * (-slope * (mass - self.low)).exp() / span
        return torch.stack([signal, background], dim=1)


@SOURCES.register
class SPlotConfig(DrawnConfig):
    """Events of `signal`, a share `signal_share`, among `background`, weighted by their masses.

    Each shard is fitted by itself, as one run of data taking: the extended maximum likelihood of
    its mass spectrum gives the weights of signal, see `mleg_ray.physics.splot.sweights`. Weighted
    events are distributed as `signal`, as within each of both the mass depends on nothing else. The
    labels `mass` and `signal` (1, or 0 of background) tell what no model sees.
    """

    kind: Literal["splot"] = "splot"
    signal: SerializeAsAny[Annotated[DensityConfig, DENSITIES.chosen()]]
    background: SerializeAsAny[Annotated[DensityConfig, DENSITIES.chosen()]]
    signal_share: Annotated[float, Option(gt=0, lt=1)]
    mass: MassSpectrum

    @model_validator(mode="after")
    def _are_alike(self) -> Self:
        if self.signal.fields() != self.background.fields():
            raise ConfigError("background: its events must have the fields of those of signal")
        return self

    def makes(self) -> EventSchema:
        """Return the fields of both, the weight and the labels."""
        mass = Field(name=MASS, unit="GeV", role="label")
        weight, label = Field(name=WEIGHT, role="weight"), Field(name=SIGNAL, role="label")
        return EventSchema((*self.signal.fields(), weight, mass, label))

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` if a condition is fixed."""
        require_drawn(self.kind, conditions)

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> Drawn:
        """Build the source; `ConfigError` if a shard has too few events for a fit."""
        fewest = min(cut(self.events, shard_events))
        needed = round(FEWEST / min(self.signal_share, 1 - self.signal_share))
        if fewest < needed:
            raise ConfigError(
                f"source.events: a shard of {fewest} events is too small for the fit of its mass "
                f"spectrum; give shards {needed} events or more, by events and shard_events"
            )
        return super().open(schema, conditions, shard_events)

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n events with their weights."""
        signal = rng.random(n) < self.signal_share
        columns = {field.name: np.empty(n) for field in self.signal.fields()}
        for density, rows in ((self.signal, signal), (self.background, ~signal)):
            for name, values in density.sample(rng, int(rows.sum())).items():
                columns[name][rows] = values
        mass = self.mass.sample(rng, signal)
        weight = sweights(self.mass.fitted(mass).densities(mass))[:, 0]
        return {**columns, MASS: mass, WEIGHT: weight, SIGNAL: signal.astype(np.float64)}
