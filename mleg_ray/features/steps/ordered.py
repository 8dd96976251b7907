"""Numbers that come in descending order."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field as Option
from pydantic import FiniteFloat
from torch import Tensor
from torch.nn.functional import logsigmoid

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, group_of
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Resolution,
    Step,
    StepConfig,
    prefixed,
    require_columns,
)
from mleg_ray.features.steps.elementwise import LEAST


class Ordered(Step):
    """z_1 > z_2 > ... above an edge: log z_1, and logit(z_k / z_(k-1)) of each that follows.

    z is x - `above`, of the objects of one field, such as jet.pt, or of several numbers of the
    event, named from the largest to the smallest. Any real numbers are in order when they come
    back, and above the edge. What is larger than the one before, or as large up to a `resolution`
    of the ratio, counts as outside.
    """

    def __init__(self, config: "OrderedConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        shapes = [layout.columns[name].shape for name in self.reads]
        self._objects = len(shapes) == 1 and len(shapes[0]) == 1
        if not self._objects and (len(shapes) < 2 or any(shapes)):
            raise ConfigError("fields: one field of objects, or two or more numbers of the event")
        self._above, self._resolution = config.above, config.resolution
        self._made = tuple(prefixed(name, "ordered") for name in self.reads)
        self.writes = {
            new: Quantity(shape, varies=layout.columns[name].varies)
            for new, name, shape in zip(self._made, self.reads, shapes, strict=True)
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the logarithm of the first and the logits of the ratios."""
        z = (self._rows(columns, self.reads) - self._above).clamp(min=LEAST)
        first = z[:, :1].log()
        ratios = (z[:, 1:] / z[:, :-1]).logit(eps=self._resolution)
        return self._apart(torch.cat([first, ratios], dim=1), self._made)

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the numbers in descending order."""
        y = self._rows(columns, self._made)
        logs = torch.cat([y[:, :1], logsigmoid(y[:, 1:])], dim=1).cumsum(dim=1)
        return self._apart(self._above + logs.exp(), self.reads)

    def log_abs_det(self, before: Events) -> Tensor:
        """Return -log z_1 - Σ log z_k (1 - z_k/z_(k-1)), over present objects."""
        z = self._rows(before.columns, self.reads) - self._above
        ratios = z[:, 1:] / z[:, :-1]
        slopes = torch.cat([z[:, :1], z[:, 1:] * (1 - ratios)], dim=1).log()
        return -self._of_present(slopes, before, 0.0).sum(dim=1)

    def outside(self, before: Events) -> Tensor:
        """Return which events have numbers that are not in order, or not above the edge."""
        z = self._rows(before.columns, self.reads) - self._above
        ratios = z[:, 1:] / z[:, :-1].clamp(min=LEAST)
        far = (ratios < self._resolution) | (ratios > 1 - self._resolution)
        beyond = torch.cat([z[:, :1] <= LEAST, far], dim=1) | (z <= LEAST)
        return self._of_present(beyond, before, value=False).any(dim=1)

    def _rows(self, columns: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
        """Return the numbers (B, K), the largest first."""
        return columns[names[0]] if self._objects else torch.stack([columns[n] for n in names], 1)

    def _apart(self, rows: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        return dict(zip(names, [rows] if self._objects else rows.unbind(1), strict=True))

    def _of_present(self, rows: Tensor, events: Events, value: float) -> Tensor:
        """Return the rows with a value in the place of objects that are absent."""
        present = events.present.get(group_of(self.reads[0])) if self._objects else None
        return rows if present is None else torch.where(present, rows, value)


@STEPS.register
class OrderedConfig(StepConfig):
    """Configuration of `Ordered`: the field of objects or the numbers, and the edge below all."""

    step: ClassVar = Ordered
    kind: Literal["ordered"] = "ordered"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
    above: FiniteFloat = 0.0
    resolution: Resolution = 1e-9
