"""Weighted empirical distributions of columns, batch by batch, in bounded memory."""

import torch
from torch import Tensor

MOST = 2**20  # numbers that are kept at once
CONDENSED = 2**16  # to how many of equal weight they are condensed then


class Quantiles:
    """The distribution of a column of numbers, in float64.

    Up to a million numbers are kept as they are. More are condensed to 65,536 means of numbers of
    equal weight, which moves no share by more than 1.5e-5 each time.
    """

    def __init__(self) -> None:
        self.count = 0
        self._values = torch.empty(0, dtype=torch.float64)
        self._weights = torch.empty(0, dtype=torch.float64)

    def add(self, values: Tensor, weight: Tensor) -> None:
        """Add numbers (m,) of weights (m,), none below zero; those without any do not count."""
        counts = weight > 0
        self.count += int(counts.sum())
        self._values = torch.cat([self._values, values[counts].double()])
        self._weights = torch.cat([self._weights, weight[counts].double()])
        if len(self._values) > MOST:
            self._condense()

    def at(self, shares: Tensor) -> Tensor:
        """Return the numbers below which these shares (k,) of the weight lie.

        Each number has half of its own weight below it; between two the share is linear, and the
        shares 0 and 1 are those of the smallest and the largest.
        """
        values, weights = self._ordered()
        below = (weights.cumsum(0) - weights / 2) / weights.sum()
        i = torch.searchsorted(below, shares.double()).clamp(1, len(below) - 1)
        part = ((shares - below[i - 1]) / (below[i] - below[i - 1])).clamp(0, 1)
        return values[i - 1] + part * (values[i] - values[i - 1])

    def mean_excess(self, edge: Tensor, side: int) -> Tensor:
        """Return the mean of how far numbers above (`side` 1) or below (-1) an edge are from it."""
        excess = side * (self._values - edge)
        beyond = excess > 0
        return (self._weights * excess)[beyond].sum() / self._weights[beyond].sum()

    def _ordered(self) -> tuple[Tensor, Tensor]:
        order = self._values.argsort(stable=True)
        return self._values[order], self._weights[order]

    def _condense(self) -> None:
        values, weights = self._ordered()
        middle = weights.cumsum(0) - weights / 2
        group = (CONDENSED * middle / weights.sum()).long().clamp(max=CONDENSED - 1)
        zero = torch.zeros(CONDENSED, dtype=torch.float64)
        total = zero.index_add(0, group, weights)
        weighted = zero.index_add(0, group, weights * values)
        self._values, self._weights = (weighted / total)[total > 0], total[total > 0]
