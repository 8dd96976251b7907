"""Weighted means and standard deviations of columns, batch by batch."""

import torch
from torch import Tensor


class Moments:
    """Weighted mean and standard deviation of columns, in float64."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, values: Tensor, weight: Tensor) -> None:
        """Add rows (m, d) of weights (m,), none below zero; rows without any do not count."""
        values, weight = values.double(), weight.double()
        total = weight.sum()
        if total == 0:
            return
        mean = (weight[:, None] * values).sum(0) / total
        squares = (weight[:, None] * (values - mean).square()).sum(0)
        self._parts.append((total, mean, squares))

    def result(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (d,); the latter is 1 of a column without spread."""
        totals, means, squares = (torch.stack(part) for part in zip(*self._parts, strict=True))
        share = (totals / totals.sum())[:, None]
        mean = (share * means).sum(0)
        variance = squares.sum(0) / totals.sum() + (share * (means - mean).square()).sum(0)
        # A column without spread (one value throughout) stays as it is, centred at zero; what
        # spread it has is the rounding of its mean.
        rounding = 8 * torch.finfo(torch.float64).eps * mean.abs()
        return mean, torch.where(variance > rounding.square(), variance.sqrt(), 1.0)

    @property
    def empty(self) -> bool:
        """Whether nothing was added."""
        return not self._parts
