"""Tracks as a ring-imaging Cherenkov detector tells their species."""

import math
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field as Option
from pydantic import PositiveFloat, model_validator

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.densities import DENSITIES, DensityConfig
from mleg_ray.catalog.sources.drawn import truncated_normal
from mleg_ray.errors import ConfigError
from mleg_ray.events import Field
from mleg_ray.physics.cherenkov import HYPOTHESES, log_likelihood_ratios

MOMENTA, MOMENTUM_SPREAD = (3.0, 100.0), 0.7  # GeV, and the σ of ln p
ETAS, ETA, ETA_SPREAD = (2.0, 5.0), 3.4, 0.6
TRACKS_SHAPE = 4.0  # of the gamma distribution of the number of tracks

Species = Literal["electron", "muon", "pion", "kaon", "proton"]


@DENSITIES.register
class RICH(DensityConfig):
    """Log likelihoods of four species and of no light, over the pion's, of tracks of `species`.

    `species` are shares. Conditions are the momentum `p`, GeV, log-normal around `momentum` from 3
    to 100 GeV; `eta`, normal from 2 to 5; and `n_tracks`, the number of tracks in the event, a
    gamma distribution of the mean `tracks` in whole numbers. See `mleg_ray.physics.cherenkov`.
    """

    kind: Literal["rich"] = "rich"
    species: dict[Species, PositiveFloat]
    momentum: Annotated[float, Option(ge=MOMENTA[0], le=MOMENTA[1])]
    tracks: PositiveFloat

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if not math.isclose(sum(self.species.values()), 1.0, abs_tol=1e-9):
            raise ConfigError("species: their shares must sum to 1")
        return self

    def fields(self) -> tuple[Field, ...]:
        """Return the five ratios and the three conditions."""
        return (
            *(Field(name=f"dll_{hypothesis}") for hypothesis in HYPOTHESES),
            Field(name="p", unit="GeV", role="condition"),
            Field(name="eta", role="condition"),
            Field(name="n_tracks", role="condition"),
        )

    def sample(self, rng: np.random.Generator, n: int) -> Columns:
        """Return n tracks."""
        low, high = np.log(MOMENTA)
        p = np.exp(truncated_normal(rng, n, math.log(self.momentum), MOMENTUM_SPREAD, low, high))
        eta = truncated_normal(rng, n, ETA, ETA_SPREAD, *ETAS)
        tracks = 1 + np.floor(rng.gamma(TRACKS_SHAPE, self.tracks / TRACKS_SHAPE, n))
        columns = {f"dll_{hypothesis}": np.empty(n) for hypothesis in HYPOTHESES}
        names, shares = list(self.species), np.array(list(self.species.values()))
        kind = rng.choice(len(names), n, p=shares / shares.sum())
        for number, species in enumerate(names):
            rows = kind == number
            found = log_likelihood_ratios(rng, species, p[rows], eta[rows], tracks[rows])
            for hypothesis, values in found.items():
                columns[f"dll_{hypothesis}"][rows] = values
        return {**columns, "p": p, "eta": eta, "n_tracks": tracks}
