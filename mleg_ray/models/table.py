"""A table of the rows that the train split has, drawn as often as they are there."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor

from mleg_ray.errors import ConfigError, DataError
from mleg_ray.models.base import MODELS, Model, ModelConfig, Spaces
from mleg_ray.space import Part, Space


class Table(Model):
    """p(row) is its frequency in the train split; no other row can be made.

    For what takes few values, as the numbers of objects do. A row is drawn in constant time, by two
    uniform numbers: the first chooses a cell of equal size, the second its own row or another
    (Walker, Electronics Letters 10 (1974) 127; Vose, IEEE Trans. Softw. Eng. 17 (1991) 972). It has
    no player, for it learns by counting: of the share of the train split that a worker keeps.
    """

    remembers = True
    rows: Tensor
    own: Tensor
    other: Tensor
    cells: Tensor

    def __init__(self, config: "TableConfig", spaces: Spaces) -> None:
        super().__init__()
        if spaces.condition.width:
            raise ConfigError(
                "kind: a table is the same under all conditions; give it none, or choose a flow"
            )
        self.noise_space = Space({"noise": Part((2,), circle=(0, 1))})
        self._most = config.most
        self.register_buffer("rows", torch.zeros(config.most, spaces.features.width))
        self.register_buffer("own", torch.ones(config.most))
        self.register_buffer("other", torch.zeros(config.most, dtype=torch.long))
        self.register_buffer("cells", torch.ones((), dtype=torch.long))

    def remember(
        self, features: Tensor, condition: Tensor, present: Mapping[str, Tensor] = {}
    ) -> None:
        """Count the rows.

        Raises:
            DataError: more are different than the table has room for.
        """
        rows, counts = torch.unique(features, dim=0, return_counts=True)
        if len(rows) > self._most:
            raise DataError(
                f"a table of at most {self._most:,} rows: {len(features):,} train events have "
                f"{len(rows):,} different ones; raise `most`, or choose a flow: a table is for "
                "features that take few values"
            )
        own, other = alias_table(counts.double().numpy() / len(features))
        self.rows[: len(rows)] = rows
        self.own[: len(rows)] = torch.from_numpy(own)
        self.other[: len(rows)] = torch.from_numpy(other)
        self.cells.fill_(len(rows))

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Return the rows (B, features) that noise (B, 2), uniform in [-1, 1), chooses."""
        first, second = ((noise + 1) / 2).unbind(dim=1)
        cell = (first * self.cells).long().clamp(max=self.cells - 1)
        row = torch.where(second < self.own[cell], cell, self.other[cell])
        return self.rows[row]


def alias_table(shares: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return of each of n cells how often it stands for itself, and for which other one else.

    With `shares` p (n,), which sum to one, p_i = (own_i + Σ_{j: other_j = i} (1 - own_j)) / n.

    >>> own, other = alias_table(np.array([0.75, 0.25]))
    >>> own.tolist(), other.tolist()
    ([1.0, 0.5], [0, 0])
    """
    own = shares * len(shares)
    other = np.arange(len(shares))
    small, large = list(np.flatnonzero(own < 1)), list(np.flatnonzero(own >= 1))
    while small and large:
        filled, giver = small.pop(), large[-1]
        other[filled] = giver
        own[giver] -= 1 - own[filled]
        if own[giver] < 1:
            small.append(large.pop())
    own[[*small, *large]] = 1.0  # what is left is one but for rounding
    return own, other


@MODELS.register
class TableConfig(ModelConfig):
    """Configuration of `Table`: room for so many different rows at `most`."""

    kind: Literal["table"] = "table"
    players: ClassVar[tuple[str, ...]] = ()
    most: PositiveInt = 10_000

    def build(self, spaces: Spaces) -> Table:
        """Build the empty table."""
        return Table(self, spaces)
