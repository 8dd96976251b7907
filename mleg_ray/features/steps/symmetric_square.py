"""Images and what reflections and quarter turns make of them as one."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
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
from mleg_ray.physics import images
from mleg_ray.randomness import Noise

SYMMETRIES = 8  # of a square: by rows, by columns, by the diagonal


class SymmetricSquare(Step):
    """Square images, turned and reflected so that their barycentre lies at 0 <= row <= column.

    What comes in along the axis of a square calorimeter has the eight symmetries of the square. An
    image leaves its `folded_` one; which of the eight k it was is left as `side_`, on the circle:
    (k + u)/4 - 1 with u uniform in [0, 1). Where all are equally likely it is uniform and
    independent of everything else: a model that draws it so has the symmetry exactly.

    The likelihood bounds that of the images from below, as that of `reflection` does.
    """

    def __init__(self, config: "SymmetricSquareConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = (config.field,)
        require_columns(self.reads, layout)
        plain = layout.columns[config.field]
        if len(plain.shape) < 2 or plain.shape[-1] != plain.shape[-2]:
            raise ConfigError(f"'{config.field}' is no image of as many rows as columns")
        self._image = config.field
        self._folded, self._side = (prefixed(config.field, new) for new in ("folded", "side"))
        self.writes = {
            self._folded: plain,
            self._side: Quantity(circle=True, varies=plain.varies),
        }

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events with images in one octant, and where they were."""
        image = events.columns[self._image]
        u = noise.uniform(len(events), 1)[:, 0].to(events.weight)
        return events.replacing(self.reads, self._apart(image, u))

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same with the middle of each side."""
        image = columns[self._image]
        return self._apart(image, image.new_full((len(image),), 0.5))

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the images where they were."""
        image, side = columns[self._folded], columns[self._side]
        k = torch.remainder((side + 1) * (SYMMETRIES / 2), SYMMETRIES).long()
        image = _where(k & 4 > 0, image.transpose(-1, -2), image)
        image = _where(k & 2 > 0, image.flip(-1), image)
        return {self._image: _where(k & 1 > 0, image.flip(-2), image)}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return the logarithm of the length of a side, 1/4, for each u."""
        return torch.full_like(before.weight, -math.log(SYMMETRIES / 2))

    def _apart(self, image: Tensor, u: Tensor) -> dict[str, Tensor]:
        row, column = (images.barycentre(image, axis) for axis in (-2, -1))
        up, left, steep = row < 0, column < 0, row.abs() > column.abs()
        image = _where(up, image.flip(-2), image)
        image = _where(left, image.flip(-1), image)
        folded = _where(steep, image.transpose(-1, -2), image)
        k = up.to(u) + 2 * left.to(u) + 4 * steep.to(u)
        return {self._folded: folded, self._side: (k + u) / (SYMMETRIES / 2) - 1}


def _where(chosen: Tensor, image: Tensor, other: Tensor) -> Tensor:
    """Return images (B, ...) of which events (B,) that are `chosen`, and the other ones."""
    return torch.where(chosen.view(-1, *[1] * (image.ndim - 1)), image, other)


@STEPS.register
class SymmetricSquareConfig(StepConfig):
    """Configuration of `SymmetricSquare`: the image."""

    step: ClassVar = SymmetricSquare
    kind: Literal["symmetric-square"] = "symmetric-square"
    field: str
