"""Continuous flows: a velocity field carries noise to features along an ordinary equation."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from mleg_ray.config import inside
from mleg_ray.models.base import MODELS, AnyNetwork, Model, ModelConfig, Spaces
from mleg_ray.space import Space, wrapped


class FlowMatching(Model):
    """dx/dt = v(x, t | condition) from noise at t = 0 to features at t = 1.

    Source: Lipman et al., arXiv:2210.02747. Angles move on their circle: the field sees them as
    cosine and sine (Chen & Lipman, arXiv:2302.03660, for the torus). Sampling takes a fixed number
    of Runge-Kutta steps of fourth order, so the map of noise to features is deterministic.
    """

    def __init__(self, config: "FlowMatchingConfig", spaces: Spaces) -> None:
        super().__init__()
        self.noise_space = spaces.features
        self._steps = config.ode_steps
        seen = Space.numbers(spaces.features.seamless_width() + 1)
        with inside("network"):
            self.field = config.network.build(seen, spaces.condition.width, spaces.features)

    def path(self, start: Tensor, end: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return points at `time` (n, 1) on the shortest ways (n, features), and their velocity."""
        line, circle = self.noise_space.divide(end - start)
        velocity = self.noise_space.join(line, wrapped(circle))
        return start + time * velocity, velocity

    def velocity(self, features: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Return v (n, features) at features (n, features) and times (n, 1)."""
        seen = torch.cat([self.noise_space.seamless(features), time], dim=1)
        result: Tensor = self.field(seen, condition)
        return result

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Carry noise (n, features) under `condition` (n, C) to features (n, features)."""
        step = 1 / self._steps
        x = noise
        for k in range(self._steps):
            start, middle, end = (
                torch.full_like(noise[:, :1], (k + part) * step) for part in (0, 0.5, 1)
            )
            v1 = self.velocity(x, start, condition)
            v2 = self.velocity(x + step / 2 * v1, middle, condition)
            v3 = self.velocity(x + step / 2 * v2, middle, condition)
            v4 = self.velocity(x + step * v3, end, condition)
            x = x + step / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        line, circle = self.noise_space.divide(x)
        return self.noise_space.join(line, wrapped(circle))


@MODELS.register
class FlowMatchingConfig(ModelConfig):
    """Configuration of `FlowMatching`: the field's network and the steps of the sampler."""

    players: ClassVar[tuple[str, ...]] = ("field",)
    kind: Literal["flow-matching"] = "flow-matching"
    network: AnyNetwork
    ode_steps: PositiveInt = 8

    def build(self, spaces: Spaces) -> FlowMatching:
        """Build the model with freshly drawn weights."""
        return FlowMatching(self, spaces)
