"""Numbers that are one of a few."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field as Option
from pydantic import FiniteFloat, model_validator
from torch import Tensor

from mleg_ray.features.steps.base import STEPS
from mleg_ray.features.steps.elementwise import OfFields


@STEPS.register
class Values(OfFields):
    """The position k in a list of `values` of a number that is always one of them: a charge of ±1.

    `dequantise` or `category` then takes the whole number k, and what comes back is one of the
    values, exactly. Other numbers count as outside, and are moved to the nearest.
    """

    kind: Literal["values"] = "values"
    prefix: ClassVar[str] = "place"
    values: Annotated[tuple[FiniteFloat, ...], Option(min_length=2, max_length=1000)]

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if sorted(set(self.values)) != list(self.values):
            raise ValueError("values: name each once, the smallest first")
        return self

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return k of the nearest value."""
        known = self._known(x)
        middles = (known[1:] + known[:-1]) / 2
        return torch.searchsorted(middles, x.double().contiguous()).double()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the value at k."""
        return self._known(y)[y.round().long().clamp(0, len(self.values) - 1)]

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return 0: nothing continuous is changed."""
        return torch.zeros_like(x, dtype=torch.float64)

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is none of the values, as single precision stores them."""
        return self.restore(self.change(x, columns), columns).float() != x.float()

    def _known(self, x: Tensor) -> Tensor:
        return torch.tensor(self.values, dtype=torch.float64, device=x.device)
