"""What steps share that change each of some numbers by itself."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field as Option
from torch import Tensor

from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    Layout,
    Quantity,
    Step,
    StepConfig,
    any_present,
    per_event,
    renamed,
    require_columns,
)


class Elementwise(Step):
    """f(x) of each number, object's number or pixel of the `fields`; other columns may enter f."""

    prefix: ClassVar[str]
    circle: ClassVar[bool] = False

    def __init__(self, fields: tuple[str, ...], layout: Layout, uses: tuple[str, ...] = ()) -> None:
        super().__init__()
        require_columns((*fields, *uses), layout)
        self.reads, self.uses = fields, uses
        self.made = {renamed(self.prefix, name): name for name in fields}
        self.writes = {
            new: Quantity(layout.columns[name].shape, self.circle, layout.columns[name].varies)
            for new, name in self.made.items()
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return f(x)."""
        return {new: self.change(columns[name], columns) for new, name in self.made.items()}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return x."""
        return {name: self.restore(columns[new], columns) for new, name in self.made.items()}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return Σ log |f'(x)|, over present objects."""
        total = before.weight.new_zeros(len(before))
        for name in self.reads:
            slope = self.log_slope(before.columns[name], before.columns)
            total = total + per_event(slope, name, before)
        return total

    def outside(self, before: Events) -> Tensor:
        """Return which events have a number outside the domain of f."""
        outside = super().outside(before)
        for name in self.reads:
            beyond = self.beyond(before.columns[name], before.columns)
            outside = outside | any_present(beyond, name, before)
        return outside

    @abstractmethod
    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return f(x), of the shape of x."""

    @abstractmethod
    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x of f(x)."""

    @abstractmethod
    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log |f'(x)|."""

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x lies outside the domain: nowhere."""
        return x != x


class FieldsConfig(StepConfig):
    """What the configurations of these steps share: the columns that are changed."""

    fields: Annotated[tuple[str, ...], Option(min_length=1)]
