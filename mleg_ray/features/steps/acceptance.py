"""What two particles leave each other within a detector's acceptance."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field as Option
from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, members
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


class Acceptance(Step):
    """The second particle of a `pair` where p_T and |η| of both pass: the edges lie at infinity.

    It follows `pair`, whose first particle has the larger p_T. With Δφ of its acoplanarity and both
    massless, M² = 2 p_T1 p_T2 (cosh Δη - cos Δφ), so the second has p_T2 > p of the threshold p if

        log p_T2/p_T1 > l = log 2 p² (1 - cos Δφ)/M²,   cosh Δη < cos Δφ + M² p_T2/(2 p² p_T1).

    The ratio lies between l and 0, and η2 within ±`eta` no further from η1 than that Δη. Of each
    the logit of its share of this interval is left, `inside_log_ratio_pt`, which grows as p_T2
    falls, and `inside_eta`. So both cuts hold for whatever a network makes, however much they hang
    on each other; only η1 needs an `interval` of its own.

    The masses of muons shift p_T2 by about 1e-5 at most. What lies outside, or within `resolution`
    of an edge, a share of the interval, is moved to that distance.
    """

    def __init__(self, config: "AcceptanceConfig", layout: Layout) -> None:
        super().__init__()
        first, second = config.groups
        if first == second:
            raise ConfigError(f"groups: '{first}' is no pair with itself")
        [self._ratio] = members(config.name, "log_ratio_pt")
        [self._eta] = members(second, "eta")
        self.reads = (self._ratio, self._eta)
        self.uses = (*members(config.name, "mass", "acoplanarity"), *members(first, "eta"))
        require_columns((*self.reads, *self.uses), layout)
        self._threshold, self._reach = config.pt, config.eta
        self._resolution = config.resolution
        self._made = tuple(prefixed(name, "inside") for name in self.reads)
        self.writes = dict.fromkeys(self._made, Quantity())

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the logits."""
        shares = self._shares(columns)
        logits = (share.logit(eps=self._resolution) for share in shares)
        return dict(zip(self._made, logits, strict=True))

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the ratio and the pseudorapidity."""
        of_ratio, of_eta = (columns[name].sigmoid() for name in self._made)
        ratio = self._least_ratio(columns) * of_ratio
        low, high = self._between({**columns, self._ratio: ratio})
        return {self._ratio: ratio, self._eta: low + (high - low) * of_eta}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return -Σ log s (1 - s), less the logarithms of both intervals' lengths."""
        columns = before.columns
        low, high = self._between(columns)
        lengths = self._least_ratio(columns).abs().log() + (high - low).log()
        return -sum(((s * (1 - s)).log() for s in self._shares(columns)), start=lengths)

    def outside(self, before: Events) -> Tensor:
        """Return which events do not pass, or hardly."""
        first = before.columns[self.uses[2]].abs() >= self._reach
        light = self._least_ratio(before.columns) >= 0
        far = [
            (share < self._resolution) | (share > 1 - self._resolution)
            for share in self._shares(before.columns)
        ]
        return first | light | far[0] | far[1]

    def _shares(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return where ratio and pseudorapidity lie in their intervals."""
        low, high = self._between(columns)
        of_eta = (columns[self._eta] - low) / (high - low)
        return columns[self._ratio] / self._least_ratio(columns), of_eta

    def _least_ratio(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Return l, log p_T2/p_T1 of a second particle at the threshold at Δη = 0."""
        mass = columns[self.uses[0]]
        opening = self._opening(columns).clamp(min=LEAST)
        return (2 * self._threshold**2 * opening).log() - 2 * mass.log()

    def _between(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the ends of the interval of the second pseudorapidity."""
        mass, _, eta = (columns[name] for name in self.uses)
        ratio = columns[self._ratio].exp()
        # cosh Δη - 1, without cancellation.
        most = ratio * (mass / self._threshold).square() / 2 - self._opening(columns)
        width = 2 * (most.clamp(min=LEAST) / 2).sqrt().asinh()
        return (eta - width).clamp(min=-self._reach), (eta + width).clamp(max=self._reach)

    def _opening(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Return 1 - cos Δφ."""
        return 2 * (math.pi * columns[self.uses[1]] / 2).cos().square()


@STEPS.register
class AcceptanceConfig(StepConfig):
    """Configuration of `Acceptance`: the pair's `groups` and `name`, least p_T and largest |η|."""

    step: ClassVar = Acceptance
    kind: Literal["acceptance"] = "acceptance"
    groups: tuple[str, str]
    name: str = Option(default="pair", pattern=r"^[A-Za-z_]\w*$")
    pt: PositiveFloat
    eta: PositiveFloat
    resolution: Resolution = 1e-9
