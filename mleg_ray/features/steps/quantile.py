"""Numbers by the share of events that lie below them."""

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.errors import DataError
from mleg_ray.events import Events
from mleg_ray.features.quantiles import Quantiles
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    numbers_of,
    per_event,
    prefixed,
    require_columns,
)

INTERVALS = 1000  # between the quantiles that are kept
RESOLUTION = 1e-9  # how near shares come to 0 and 1 where they have an end
LEAST_BEYOND = 20  # events that tell how steep a tail is, to 22%
Side = Literal["low", "high"]
SIGNS: Mapping[Side, int] = {"low": -1, "high": 1}


class Quantile(Step):
    """Φ⁻¹(F(x)), with the train split's distribution function F: a normal number whatever x is.

    F is linear between 1001 quantiles. On an `open` side it ends with an exponential tail that has
    the mean of what the train split has beyond: above the share 1 - `tail`, at x_t,

        1 - F(x) = tail · exp(-(x - x_t)/s),   s = <x - x_t> of x > x_t.

    So what is generated leaves the range of the train split as often as it should. Of x = log p_T
    this is a power law of p_T. On a closed side F ends at the train split's last number, and so
    does what is generated; other numbers beyond count as outside.

    With `to = "uniform"` it is 2F - 1 in place of the normal number. Objects of a group share one
    distribution. Weights count by their size.
    """

    learns = True
    shares: Tensor
    knots: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, config: "QuantileConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        self._tail, self._open, self._normal = config.tail, config.open, config.to == "normal"
        self._made = {name: prefixed(name, "quantile") for name in self.reads}
        before = {new: layout.columns[name] for name, new in self._made.items()}
        self.writes = {
            new: Quantity(plain.shape, varies=plain.varies, given=plain.given)
            for new, plain in before.items()
        }
        first = self._tail if "low" in self._open else 0.0
        last = 1 - self._tail if "high" in self._open else 1.0
        shares = torch.linspace(first, last, INTERVALS + 1, dtype=torch.float64)
        self.register_buffer("shares", shares, persistent=False)
        self.register_buffer("knots", shares.repeat(len(self.reads), 1))
        for side in SIGNS:  # the lengths s of both tails
            self.register_buffer(side, torch.ones(len(self.reads), dtype=torch.float64))

    def learn(self, chunks: Iterable[Events]) -> None:
        """Learn the distribution of each field.

        Raises:
            DataError: too few events lie in a tail, or some numbers occur too often.
        """
        found = [Quantiles() for _ in self.reads]
        for events in chunks:
            for own, name in zip(found, self.reads, strict=True):
                x, weight = numbers_of(name, events)
                own.add(x, weight.abs())
        for i, (own, name) in enumerate(zip(found, self.reads, strict=True)):
            if own.count * self._tail < LEAST_BEYOND:
                raise DataError(
                    f"quantile: of {own.count} train numbers of '{name}' less than {LEAST_BEYOND} "
                    f"lie in a tail of {self._tail:g}; at least "
                    f"{math.ceil(LEAST_BEYOND / self._tail):,} are needed, or a larger `tail`"
                )
            self.knots[i] = self._knots(own)
            same = self.knots[i][1:] == self.knots[i][:-1]
            if same.any():
                raise DataError(
                    f"quantile: {self.knots[i][1:][same][0]:g} occurs too often as '{name}' for a "
                    "continuous number; use spike or dequantise before"
                )
            for side in self._open:
                edge = self.knots[i][-1 if side == "high" else 0]
                self.get_buffer(side)[i] = excess = own.mean_excess(edge, SIGNS[side])
                if not excess > 0:
                    raise DataError(
                        f"quantile: a few train events have more weight than the tail of "
                        f"{self._tail:g} of '{name}', and nothing lies beyond; use more events, or "
                        "a larger tail"
                    )

    def _knots(self, learned: Quantiles) -> Tensor:
        """Return the quantiles; of few numbers as many as these, and equal steps between.

        The first of n numbers is the quantile of all shares to 1/2n: finer ones have no slope.
        """
        told = min(INTERVALS, learned.count)
        first, last = float(self.shares[0]), float(self.shares[-1])
        shares = torch.linspace(first, last, told + 1, dtype=torch.float64)
        knots = np.interp(self.shares, shares, learned.at(shares))
        return torch.from_numpy(knots)

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the normal or uniform number."""
        made = {}
        for i, (name, new) in enumerate(self._made.items()):
            below, above = self._shares_of(i, columns[name])
            if self._normal:
                made[new] = _normal(below) - _normal(above)
            else:
                made[new] = torch.where(below < 0.5, 2 * below - 1, 1 - 2 * above)
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return x."""
        made = {}
        for i, (name, new) in enumerate(self._made.items()):
            y = columns[new]
            share = torch.special.ndtr(y) if self._normal else (y + 1) / 2
            x = _interpolated(share, self.shares.to(y), self.knots[i].to(y))
            for side in self._open:
                sign = SIGNS[side]
                if self._normal:
                    log_beyond = torch.special.log_ndtr(-sign * y)
                else:
                    log_beyond = ((1 - sign * y) / 2).clamp(min=RESOLUTION).log()
                far = (math.log(self._tail) - log_beyond).clamp(min=0)
                x = x + sign * self.get_buffer(side)[i].to(y) * far
            made[name] = x
        return made

    def log_abs_det(self, before: Events) -> Tensor:
        """Return Σ log F'(x) less the logarithm of the normal density, or of 1/2."""
        total = before.weight.new_zeros(len(before))
        for i, (name, new) in enumerate(self._made.items()):
            x = before.columns[name].double()
            knots = self.knots[i]
            k = torch.searchsorted(knots, x).clamp(1, INTERVALS)
            slope = ((self.shares[1] - self.shares[0]) / (knots[k] - knots[k - 1])).log()
            for side in self._open:
                far = self._excess(i, x, side)
                in_tail = math.log(self._tail) - far - self.get_buffer(side)[i].log()
                slope = torch.where(far > 0, in_tail, slope)
            if self._normal:
                y = self.encode({**before.columns, name: x})[new]
                slope = slope + (y.square() + math.log(2 * math.pi)) / 2
            else:
                slope = slope + math.log(2)
            total = total + per_event(slope, name, before)
        return total

    def outside(self, before: Events) -> Tensor:
        """Return which events have a number at or beyond the end of a closed side."""
        marked = []
        for i, name in enumerate(self.reads):
            x = before.columns[name].double()
            beyond = torch.zeros_like(x, dtype=torch.bool)
            if "low" not in self._open:
                beyond = beyond | (x <= self.knots[i][0])
            if "high" not in self._open:
                beyond = beyond | (x >= self.knots[i][-1])
            marked.append(per_event(beyond, name, before) > 0)
        return torch.stack(marked).any(dim=0)

    def _shares_of(self, i: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return F(x) and 1 - F(x), each precise where it is small."""
        inside = _interpolated(x, self.knots[i].to(x), self.shares.to(x))
        inside = inside.clamp(RESOLUTION, 1 - RESOLUTION)
        below, above = inside, 1 - inside
        if "low" in self._open:
            far = self._excess(i, x, "low")
            below = torch.where(far > 0, self._tail * (-far).exp(), below)
        if "high" in self._open:
            far = self._excess(i, x, "high")
            above = torch.where(far > 0, self._tail * (-far).exp(), above)
        return below, above

    def _excess(self, i: int, x: Tensor, side: Side) -> Tensor:
        """Return how far x lies in a tail, in its lengths s, zero elsewhere."""
        edge = self.knots[i][-1 if side == "high" else 0].to(x)
        return (SIGNS[side] * (x - edge)).clamp(min=0) / self.get_buffer(side)[i].to(x)


def _normal(share: Tensor) -> Tensor:
    """Return Φ⁻¹ of a share below 1/2, and 0 of others."""
    score: Tensor = torch.special.ndtri(share.clamp(torch.finfo(share.dtype).tiny, 0.5))
    return score


def _interpolated(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Return y of x, linear between ascending knots (k,); that of the nearest end beyond."""
    i = torch.searchsorted(xs, x.detach().contiguous()).clamp(1, len(xs) - 1)
    part = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[i - 1] + part.clamp(0, 1) * (ys[i] - ys[i - 1])


@STEPS.register
class QuantileConfig(StepConfig):
    """Configuration of `Quantile`: `fields`, what they become, and which sides are open."""

    step: ClassVar = Quantile
    kind: Literal["quantile"] = "quantile"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
    to: Literal["normal", "uniform"] = "normal"
    open: tuple[Side, ...] = ("low", "high")
    tail: Annotated[float, Option(gt=0, lt=0.5)] = 1e-3
