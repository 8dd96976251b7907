"""Normalising flows: an invertible map between noise and features, with an exact density."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
import zuko.flows
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.transforms import AutoregressiveTransform, ComposedTransform

from mleg_ray.errors import ConfigError
from mleg_ray.models.base import MODELS, Model, ModelConfig, Spaces
from mleg_ray.space import Space, columns


class Flow(Model):
    """Neural spline flows, one for the line and one for the circle.

    Features on the line have a rational-quadratic spline flow with a normal base (Durkan et al.,
    arXiv:1906.04032). Periodic ones, angles in half turns, have a circular spline flow with a
    uniform base (Rezende et al., arXiv:2002.02428) that is conditional on those on the line, so
    that no seam arises where the angle turns over. Angles that are `even` are the base's own, as an
    exact symmetry has them: uniform, independent of everything else, and seen by no network.
    """

    has_density = True

    def __init__(self, config: "FlowConfig", spaces: Spaces) -> None:
        super().__init__()
        self.noise_space = spaces.features
        shape = {
            "transforms": config.transforms,
            "bins": config.bins,
            "hidden_features": config.hidden,
            "passes": config.passes,
        }
        even = even_angles(config.even, spaces.features)
        circle = list(enumerate(spaces.features.circle))
        self._learned = tuple(i for i, place in circle if place not in even)
        self._even = tuple(i for i, place in circle if place in even)
        # Where each angle stands behind one another, first those that are learned.
        behind = (*self._learned, *self._even)
        self._places = tuple(map(behind.index, range(len(behind))))
        n_line, n_circle = len(spaces.features.line), len(self._learned)
        if not n_line + n_circle:
            raise ConfigError("even: nothing is left to learn; leave one feature out")
        self.flow = nn.ModuleDict()
        if n_line:
            self.flow["line"] = zuko.flows.NSF(n_line, spaces.condition.width, **shape)
        if n_circle:
            self.flow["circle"] = zuko.flows.NCSF(
                n_circle, spaces.condition.width + n_line, **shape
            )

    def log_prob(self, features: Tensor, condition: Tensor) -> Tensor:
        """Return the log density (B,) of features (B, features) under conditions (B, C)."""
        line, circle = self.noise_space.divide(features)
        circle = columns(circle, self._learned)
        result = features.new_full((len(features),), -len(self._even) * math.log(2))
        if "line" in self.flow:
            result = result + self.flow["line"](_context(condition)).log_prob(line)
        if "circle" in self.flow:
            context = _context(torch.cat([condition, line], dim=1))
            angles: Tensor = self.flow["circle"](context).log_prob(math.pi * circle)
            result = result + angles + circle.shape[1] * math.log(math.pi)
        return result

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map base noise (n, features) to features (n, features)."""
        line, circle = self.noise_space.divide(noise)
        if "line" in self.flow:
            line = _inverse(self.flow["line"](_context(condition)).transform, line)
        if "circle" in self.flow:
            context = _context(torch.cat([condition, line], dim=1))
            own = math.pi * columns(circle, self._learned)
            angles = _inverse(self.flow["circle"](context).transform, own) / math.pi
            both = torch.cat([angles, columns(circle, self._even)], dim=1)
            circle = columns(both, self._places)
        return self.noise_space.join(line, circle)


@MODELS.register
class FlowConfig(ModelConfig):
    """Configuration of `Flow`: number of transforms, spline bins, hidden widths of their networks.

    Splines cover standardised features from -5 to 5; beyond, features pass unchanged.

    The transforms are autoregressive unless `passes` is given: each feature's spline depends on all
    features before it, and an event is generated in as many evaluations of each transform as there
    are features. With 2 passes the transforms are coupling layers (Dinh et al., arXiv:1605.08803):
    one half of the features depends on the other, and two evaluations do, which pays for many
    features.

    `even` names angles, such as those that `rotation` and `reflection` leave, that are drawn evenly
    instead of learned.
    """

    players: ClassVar[tuple[str, ...]] = ("flow",)
    kind: Literal["flow"] = "flow"
    transforms: PositiveInt = 4
    bins: Annotated[int, Option(ge=2)] = 16
    hidden: Annotated[tuple[PositiveInt, ...], Option(min_length=1)] = (64, 64)
    passes: Annotated[int, Option(ge=2)] | None = None
    even: tuple[str, ...] = ()

    def build(self, spaces: Spaces) -> Flow:
        """Build the model with freshly drawn weights; `ConfigError` if no such angle is there."""
        return Flow(self, spaces)


def even_angles(names: Sequence[str], space: Space) -> tuple[int, ...]:
    """Return the positions of angles that are `even`; `ConfigError` if one is none of the event."""
    places = {name: at[0] for name, at in space.positions.items() if len(at) == 1}
    angles = {name: place for name, place in places.items() if place in space.circle}
    if unknown := [name for name in names if name not in angles]:
        raise ConfigError(
            f"even: '{unknown[0]}' is no angle of the event; those are "
            f"{', '.join(angles) or 'none'}"
        )
    return tuple(angles[name] for name in names)


def _context(condition: Tensor) -> Tensor | None:
    """Return what zuko takes for "no condition" if there is none: a lone feature has no network."""
    return condition if condition.shape[1] else None


def _inverse(transform: Transform, y: Tensor) -> Tensor:
    """Return `transform.inv(y)`.

    Torch ties a transform and its inverse to each other. The splines of every pass would stay in
    memory until Python looks for such rings: gigabytes for 20,000 events of 35 features.
    """
    if isinstance(transform, ComposedTransform):
        for part in reversed(transform.transforms):
            y = _inverse(part, y)
        return y
    if isinstance(transform, AutoregressiveTransform):
        x = torch.zeros_like(y)
        for _ in range(transform.passes):
            x = _inverse(transform.meta(x).base, y)
        return x
    inverse: Tensor = transform._inverse(y)  # type: ignore[no-untyped-call]
    return inverse
