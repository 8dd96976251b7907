"""An autoregressive model: each feature by a small network of its own, given those before it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, cast

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import dropout, silu

from mleg_ray.errors import ConfigError
from mleg_ray.models.base import MODELS, Model, ModelConfig, Spaces
from mleg_ray.models.flow import even_angles
from mleg_ray.models.splines import LOG_NORMAL, Bins, Circle, Levels, Line, Monotone
from mleg_ray.space import Space


@dataclass(frozen=True)
class Factor:
    """p(x_i | what comes before): the feature's position i in the vector, and its distribution.

    `sees` is how many of the numbers that networks see come before it. `presence` are the positions
    of levels and the whole numbers above which these are where there is such a feature.
    """

    position: int
    kind: Monotone
    sees: int
    presence: tuple[tuple[int, int], ...]

    @property
    def shows(self) -> int:
        """How many numbers it adds to what networks see: an angle its cosine and sine."""
        return 2 if isinstance(self.kind, Circle) else 1

    def log_prob_of_noise(self, x: Tensor) -> Tensor:
        """Return the log density (B,) of noise x (B,)."""
        if isinstance(self.kind, Circle):
            return torch.full_like(x, -math.log(2))
        return LOG_NORMAL - x.square() / 2


class Factors(nn.Module):
    """The networks of factors of one kind, of the same shape, side by side.

    Each sees the first so many of the numbers that there are to see, and has hidden layers of SiLU
    with dropout. In training all are evaluated at once, in sampling one after the other.
    """

    mask: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self, factors: Sequence[Factor], seen: int, config: "AutoregressiveConfig"
    ) -> None:
        super().__init__()
        self.positions = [factor.position for factor in factors]
        self._kind = factors[0].kind
        self._dropout = config.dropout
        sees = torch.tensor([factor.sees for factor in factors])
        widths = (seen, *config.hidden, self._kind.width)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer, (n_in, n_out) in enumerate(pairwise(widths)):
            fan_in = sees if layer == 0 else torch.full_like(sees, n_in)
            bound = fan_in.clamp(min=1).rsqrt()[:, None, None]
            self.weights.append(bound * (2 * torch.rand(len(factors), n_in, n_out) - 1))
            self.biases.append(bound * (2 * torch.rand(len(factors), 1, n_out) - 1))
        mask = (torch.arange(seen) < sees[:, None]).float()
        self.register_buffer("mask", mask[:, :, None], persistent=False)
        if isinstance(self._kind, Levels):
            for name in ("mean", "std"):  # of the fitted map: kept with the weights
                values = [float(getattr(factor.kind, name)) for factor in factors]
                self.register_buffer(name, torch.tensor(values)[:, None])

    def kind(self, rows: int | slice = slice(None)) -> Monotone:
        """Return the distributions of all factors, or of one."""
        if isinstance(self._kind, Levels):
            return Levels(self._kind.number, self.mean[rows], self.std[rows])
        return self._kind

    def log_prob(self, seen: Tensor, x: Tensor) -> Tensor:
        """Return the log densities (factors, B) of x (factors, B) by all that is seen (B, seen)."""
        h = seen.expand(len(x), *seen.shape)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer == 0:
                h = torch.baddbmm(bias, h, weight * self.mask)
            else:
                h = torch.baddbmm(bias, dropout(silu(h), self._dropout, self.training), weight)
        return self.kind().log_prob(h, x)

    def decode(self, number: int, seen: Tensor, noise: Tensor) -> Tensor:
        """Return the features (B,) of factor `number` by the noise (B,) and what it sees (B, m)."""
        h = seen
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer == 0:
                h = torch.addmm(bias[number], h, weight[number, : seen.shape[1]])
            else:
                h = torch.addmm(bias[number], silu(h), weight[number])
        return self.kind(number).decode(h, noise)


class Autoregressive(Model):
    """p(features | c) = Π_i p(x_i | x_1 ... x_(i-1), c), each factor by a network of its own.

    What the network makes are the parameters of a distribution of one number: a rational-quadratic
    spline on the line, one on the circle for angles, and for dequantised whole numbers the
    probabilities of their levels, see `mleg_ray.models.splines`. So it is a flow of one transform,
    with as many noise numbers as features and an exact density. Networks see angles as cosine and
    sine, and a dequantised number at the middle of its level.

    A feature that is absent, such as the p_T of a third jet where there are two, is the noise, and
    networks see zero in its place. Angles that are `even` are the noise's own, as those of `Flow`.

    Sources: Germain et al., arXiv:1502.03509, sec. 2, for the product; Durkan et al.,
    arXiv:1906.04032, for the splines.
    """

    has_density = True

    def __init__(self, config: "AutoregressiveConfig", spaces: Spaces) -> None:
        super().__init__()
        self.noise_space = spaces.features
        self._even = even_angles(config.even, spaces.features)
        order = [i for i in _order(config.order, spaces.features) if i not in self._even]
        if not order:
            raise ConfigError("even: nothing is left to learn; leave one feature out")
        circle = set(spaces.features.circle)
        seen = spaces.condition.width
        self._factors: list[Factor] = []
        for number, i in enumerate(order):
            presence = spaces.presence.get(i, ())
            if late := [at for at, _ in presence if at not in order[:number]]:
                names = {at: name for name, ats in spaces.features.positions.items() for at in ats}
                raise ConfigError(
                    f"order: '{names[late[0]]}' tells whether there is a '{names[i]}'; put it "
                    "before"
                )
            line = Circle(config.bins) if i in circle else Line(config.bins)
            factor = Factor(i, spaces.levels.get(i, line), seen, presence)
            self._factors.append(factor)
            seen += factor.shows
        alike: dict[tuple[type[Monotone], int], list[Factor]] = {}
        for factor in self._factors:
            alike.setdefault((type(factor.kind), factor.kind.width), []).append(factor)
        self.flow = nn.ModuleList(Factors(own, seen, config) for own in alike.values())
        # Where each feature's network is: in which stack, and the how manieth.
        self._networks = {
            factor.position: (stack, number)
            for stack, own in enumerate(alike.values())
            for number, factor in enumerate(own)
        }

    def log_prob(self, features: Tensor, condition: Tensor) -> Tensor:
        """Return the log density (B,) of features (B, features) under conditions (B, C)."""
        shown: list[Tensor] = [condition]
        absent: dict[int, Tensor] = {}
        columns = dict(enumerate(features.unbind(1)))
        for factor in self._factors:
            there = self._there(factor, columns)
            if there is not None:
                absent[factor.position] = ~there
            shown.append(self._shown(factor, columns, there))
        seen = torch.cat(shown, dim=1)
        found: dict[int, Tensor] = {}
        for stack in self._stacks:
            x = features[:, stack.positions].T
            found |= dict(zip(stack.positions, stack.log_prob(seen, x), strict=True))
        total = features.new_full((len(features),), -len(self._even) * math.log(2))
        for factor in self._factors:
            own = found[factor.position]
            if factor.position in absent:
                noise = factor.log_prob_of_noise(columns[factor.position])
                own = torch.where(absent[factor.position], noise, own)
            total = total + own
        return total

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, features) to features (n, features), one after the other."""
        columns = dict(enumerate(noise.unbind(1)))
        seen = condition
        for factor in self._factors:
            stack, number = self._networks[factor.position]
            drawn = columns[factor.position]
            there = self._there(factor, columns)
            made = self._stacks[stack].decode(number, seen, drawn)
            columns[factor.position] = made if there is None else torch.where(there, made, drawn)
            seen = torch.cat([seen, self._shown(factor, columns, there)], dim=1)
        return torch.stack(list(columns.values()), dim=1)

    @property
    def _stacks(self) -> list[Factors]:
        return cast(list[Factors], list(self.flow))

    def _there(self, factor: Factor, columns: Mapping[int, Tensor]) -> Tensor | None:
        """Return which events (B,) have a feature; None if all."""
        there: Tensor | None = None
        for at, above in factor.presence:
            own = self._level(at).level(columns[at]) > above
            there = own if there is None else there & own
        return there

    def _shown(self, factor: Factor, columns: Mapping[int, Tensor], there: Tensor | None) -> Tensor:
        """Return what networks see of a feature (B, 1), or of an angle (B, 2)."""
        x = columns[factor.position]
        if isinstance(factor.kind, Circle):
            shown = torch.stack([(math.pi * x).cos(), (math.pi * x).sin()], dim=1)
        elif isinstance(factor.kind, Levels):
            shown = self._level(factor.position).middle(x)[:, None]
        else:
            shown = x[:, None]
        return shown if there is None else torch.where(there[:, None], shown, 0.0)

    def _level(self, position: int) -> Levels:
        stack, number = self._networks[position]
        return cast(Levels, self._stacks[stack].kind(number))


@MODELS.register
class AutoregressiveConfig(ModelConfig):
    """Configuration of `Autoregressive`: spline bins, hidden widths, dropout, order of features.

    `order` are features that come first, by name, in this order; the others follow as the feature
    map leaves them. What depends on much should come late. `even` names angles that are drawn
    evenly instead of learned, such as those that `rotation` and `reflection` leave.
    """

    players: ClassVar[tuple[str, ...]] = ("flow",)
    kind: Literal["autoregressive"] = "autoregressive"
    bins: Bins = 16
    hidden: Annotated[tuple[PositiveInt, ...], Option(min_length=1)] = (48, 48)
    dropout: Annotated[float, Option(ge=0, lt=1)] = 0.0
    order: tuple[str, ...] = ()
    even: tuple[str, ...] = ()

    def build(self, spaces: Spaces) -> Autoregressive:
        """Build the model with freshly drawn weights; `ConfigError` if no such feature is there."""
        return Autoregressive(self, spaces)


def _order(first: Sequence[str], space: Space) -> list[int]:
    """Return all positions, those of the names `first` at the head."""
    places = space.positions
    if unknown := [name for name in first if name not in places]:
        raise ConfigError(
            f"order: '{unknown[0]}' is no feature; those are {', '.join(places) or 'without names'}"
        )
    named = [at for name in first for at in places[name]]
    return list(dict.fromkeys((*named, *range(space.width))))
