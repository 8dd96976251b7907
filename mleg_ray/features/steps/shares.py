"""Images as their sum and the share of it in each cell."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    prefixed,
    require_columns,
)


class Shares(Step):
    """An image y_p >= 0 as Σ y, its `total_`, and y_p / Σ y of each cell, its `share_`.

    Shares are left as they are, standardised by nothing: a zero stays one, and a model that makes
    shares which sum to 1 makes the total exactly. Cells at or below `threshold`, in the field's
    unit, are empty before anything is summed, and so are those of what is made. An image of no
    energy has no shares, and is outside; back, it is one whose total is zero.

    Normalised showers beside their energy go back to Krause & Shih, arXiv:2106.05285, sec. 3.1.
    """

    def __init__(self, config: "SharesConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = (config.field,)
        require_columns(self.reads, layout)
        plain = layout.columns[config.field]
        if len(plain.shape) < 2:
            raise ConfigError(f"'{config.field}' is no image")
        self._image, self._threshold = config.field, config.threshold
        self._total, self._share = (prefixed(config.field, new) for new in ("total", "share"))
        self.writes = {
            self._total: Quantity(varies=plain.varies),
            self._share: Quantity(plain.shape, varies=plain.varies, shares=True),
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return total and shares."""
        image = self._above(columns[self._image].double())
        total = image.flatten(1).sum(dim=1)
        whole = torch.where(total > 0, total, 1.0)
        return {self._total: total, self._share: image / _beside(whole, image)}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the image; shares that do not sum to 1 leave another total."""
        share = columns[self._share]
        return {self._image: self._above(share * _beside(columns[self._total], share))}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return (1 - n) log Σ y of n hits, of which all shares but one are free."""
        image = self._above(before.columns[self._image].double())
        total = image.flatten(1).sum(dim=1)
        hits = (image > 0).flatten(1).sum(dim=1)
        return torch.where(total > 0, (1 - hits) * torch.where(total > 0, total, 1.0).log(), 0.0)

    def outside(self, before: Events) -> Tensor:
        """Return which images have a cell below zero, or no energy above the threshold."""
        image = before.columns[self._image]
        empty = ~(image > self._threshold).flatten(1).any(dim=1)
        return empty | (image < 0).flatten(1).any(dim=1)

    def _above(self, image: Tensor) -> Tensor:
        return torch.where(image > self._threshold, image, 0.0)


def _beside(number: Tensor, image: Tensor) -> Tensor:
    """Return one number (B,) an image so that it broadcasts with images (B, ...)."""
    return number.view(-1, *[1] * (image.ndim - 1))


@STEPS.register
class SharesConfig(StepConfig):
    """Configuration of `Shares`: the image, and the `threshold` in its unit of what is a hit."""

    step: ClassVar = Shares
    kind: Literal["shares"] = "shares"
    field: str
    threshold: NonNegativeFloat = 0.0
