"""Declared densities, from which toy events are drawn and most of which can be evaluated."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import FiniteFloat, PositiveFloat, PositiveInt, SerializeAsAny, model_validator
from scipy.special import betaln, roots_legendre
from torch import Tensor

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.drawn import DrawnConfig, require_drawn
from mleg_ray.config import Config, Registry
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, EventSchema, Field

Array = NDArray[np.float64]

NODES = 1024  # of the integral along the Swiss roll: exact to rounding for a noise of 0.2 and more
AT_ONCE = 4096  # events whose density is computed at a time


class DensityConfig(Config):
    """Base of the `density` tables of a source."""

    kind: str

    @abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """Return the fields of an event; conditions are drawn like all others."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> Columns:
        """Return n events by columns (n,)."""


class ExactDensity(DensityConfig):
    """A density that can be evaluated too."""

    @abstractmethod
    def log_density(self, events: Events) -> Tensor:
        """Return ln p (B,) of events with these fields, given their conditions; -∞ if impossible.

        It judges generated events: DatasetSpec.load("toy-ring").source.density.log_density(events).
        """


DENSITIES: Registry[DensityConfig] = Registry("density")


class Modes(NamedTuple):
    """K round Gaussians in d dimensions; the shares sum to 1."""

    share: Array  # (K,)
    mean: Array  # (K, d)
    sigma: Array  # (K,)


class Mixture(ExactDensity):
    """What mixtures of round Gaussians share: Σ_k s_k N(x; μ_k, σ_k²)."""

    @abstractmethod
    def mixed(self) -> Modes:
        """Return the Gaussians."""

    def fields(self) -> tuple[Field, ...]:
        """Return `x`, or `x` and `y`."""
        return tuple(Field(name=name) for name in ("x", "y")[: self.mixed().mean.shape[1]])

    def sample(self, rng: np.random.Generator, n: int) -> Columns:
        """Return n events."""
        share, mean, sigma = self.mixed()
        mode = rng.choice(len(share), n, p=share)
        points = mean[mode] + sigma[mode, None] * rng.standard_normal((n, mean.shape[1]))
        return {field.name: points[:, axis] for axis, field in enumerate(self.fields())}

    def log_density(self, events: Events) -> Tensor:
        """Return ln p (B,)."""
        share, mean, sigma = map(torch.from_numpy, self.mixed())
        height = share.log() - mean.shape[1] * (sigma * math.sqrt(2 * math.pi)).log()
        points = torch.stack([events.columns[field.name].double() for field in self.fields()], 1)
        parts = [
            (height - (torch.cdist(some, mean) / sigma).square() / 2).logsumexp(dim=1)
            for some in torch.split(points, AT_ONCE)
        ]
        return torch.cat(parts)


class Gaussian(Config):
    """A Gaussian of one dimension or two, with its `share` of the events."""

    share: PositiveFloat = 1.0
    mean: Annotated[tuple[FiniteFloat, ...], Option(min_length=1, max_length=2)]
    sigma: PositiveFloat


@DENSITIES.register
class Gaussians(Mixture):
    """Gaussians one by one."""

    kind: Literal["gaussians"] = "gaussians"
    modes: Annotated[tuple[Gaussian, ...], Option(min_length=1)]

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if not math.isclose(sum(mode.share for mode in self.modes), 1.0, abs_tol=1e-9):
            raise ConfigError("modes: their shares must sum to 1")
        if len({len(mode.mean) for mode in self.modes}) > 1:
            raise ConfigError("modes: their means must have as many numbers")
        return self

    def mixed(self) -> Modes:
        """Return the Gaussians."""
        rows = [(mode.share, mode.mean, mode.sigma) for mode in self.modes]
        share, mean, sigma = (np.array(column) for column in zip(*rows, strict=True))
        return Modes(share / share.sum(), mean, sigma)


@DENSITIES.register
class Ring(Mixture):
    """A `number` of equal Gaussians evenly on a circle around 0, the first on the x axis."""

    kind: Literal["ring"] = "ring"
    number: PositiveInt
    radius: PositiveFloat
    sigma: PositiveFloat

    def mixed(self) -> Modes:
        """Return the Gaussians."""
        angle = 2 * math.pi * np.arange(self.number) / self.number
        return _equal(self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), self.sigma)


@DENSITIES.register
class Grid(Mixture):
    """Equal Gaussians on a square grid around the origin, `side` in a row."""

    kind: Literal["grid"] = "grid"
    side: PositiveInt
    spacing: PositiveFloat
    sigma: PositiveFloat

    def mixed(self) -> Modes:
        """Return the Gaussians."""
        line = self.spacing * (np.arange(self.side) - (self.side - 1) / 2)
        mean = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
        return _equal(mean, self.sigma)


@DENSITIES.register
class SwissRoll(Mixture):
    """A spiral with noise, t (cos t, sin t) + `noise` z over `scale`: t even from 3π/2 to 9π/2.

    That is scikit-learn's, `make_swiss_roll`, without the axis along which it is even. Its density
    is an integral along the spiral, a continuous mixture, which a Gauss-Legendre sum gives to
    rounding: there is no closed form.
    """

    kind: Literal["swiss-roll"] = "swiss-roll"
    noise: Annotated[float, Option(ge=0.2)]
    scale: PositiveFloat

    def mixed(self) -> Modes:
        """Return the Gaussians at the nodes of the sum, which is the integral."""
        node, weight = _gauss_legendre()
        mean = _spiral((node + 1) / 2) / self.scale
        return Modes(weight / 2, mean, np.full(NODES, self.noise / self.scale))

    def sample(self, rng: np.random.Generator, n: int) -> Columns:
        """Return n events, anywhere along the spiral."""
        points = _spiral(rng.random(n)) + self.noise * rng.standard_normal((n, 2))
        return dict(zip(("x", "y"), points.T / self.scale, strict=True))


@DENSITIES.register
class Beta(ExactDensity):
    """x^(α-1) (1-x)^(β-1) / B(α, β) between 0 and 1."""

    kind: Literal["beta"] = "beta"
    alpha: PositiveFloat
    beta: PositiveFloat

    def fields(self) -> tuple[Field, ...]:
        """Return `x`."""
        return (Field(name="x"),)

    def sample(self, rng: np.random.Generator, n: int) -> Columns:
        """Return n events."""
        return {"x": rng.beta(self.alpha, self.beta, n)}

    def log_density(self, events: Events) -> Tensor:
        """Return ln p (B,)."""
        x = events.columns["x"].double()
        inside = (x > 0) & (x < 1)
        x = torch.where(inside, x, 0.5)
        found = (self.alpha - 1) * x.log() + (self.beta - 1) * (-x).log1p()
        return torch.where(inside, found - float(betaln(self.alpha, self.beta)), -math.inf)


@DENSITIES.register
class ConditionalGaussian(ExactDensity):
    """A Gaussian around the condition `mean`, which is one of `means` with equal probability.

    The density is that of `x` given `mean`, also one that is not among them.
    """

    kind: Literal["conditional-gaussian"] = "conditional-gaussian"
    means: Annotated[tuple[FiniteFloat, ...], Option(min_length=1)]
    sigma: PositiveFloat

    def fields(self) -> tuple[Field, ...]:
        """Return `x` and its condition."""
        return (Field(name="x"), Field(name="mean", role="condition"))

    def sample(self, rng: np.random.Generator, n: int) -> Columns:
        """Return n events."""
        mean = rng.choice(self.means, n)
        return {"x": mean + self.sigma * rng.standard_normal(n), "mean": mean}

    def log_density(self, events: Events) -> Tensor:
        """Return ln p (B,) given `mean`."""
        z = (events.columns["x"].double() - events.columns["mean"].double()) / self.sigma
        return -z.square() / 2 - math.log(self.sigma * math.sqrt(2 * math.pi))


@SOURCES.register
class FromDensityConfig(DrawnConfig):
    """Independent events of a declared `density`."""

    kind: Literal["density"] = "density"
    density: SerializeAsAny[Annotated[DensityConfig, DENSITIES.chosen()]]

    def makes(self) -> EventSchema:
        """Return the fields of the density."""
        return EventSchema(self.density.fields())

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` if a condition is fixed."""
        require_drawn(self.kind, conditions)

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n events."""
        return self.density.sample(rng, n)


def _equal(mean: Array, sigma: float) -> Modes:
    return Modes(np.full(len(mean), 1 / len(mean)), mean, np.full(len(mean), sigma))


def _spiral(u: Array) -> Array:
    """Return the points (n, 2) of the spiral at the shares u (n,) of its range of t."""
    t = 1.5 * math.pi * (1 + 2 * u)
    return np.asarray(t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1))


@cache
def _gauss_legendre() -> tuple[Array, Array]:
    node, weight = roots_legendre(NODES)
    return np.asarray(node), np.asarray(weight)
