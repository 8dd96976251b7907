"""Continuous flows: a velocity field carries noise to features along an ordinary equation."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from mleg_ray.models.base import MODELS, ModelConfig, NoiseMap, Widths
from mleg_ray.models.nets import Conditional, MLPConfig
from mleg_ray.models.noise import NoiseShape, wrapped


class FlowMatching(NoiseMap):
    """dx/dt = v(x, t | condition) from noise at t = 0 to features at t = 1.

    Source: Lipman et al., arXiv:2210.02747. Angles move on their circle: the field sees them as
    cosine and sine (Chen & Lipman, arXiv:2302.03660, for the torus). Sampling takes a fixed number
    of Runge-Kutta steps of fourth order, so the map of noise to features is deterministic.
    """

    def __init__(self, config: "FlowMatchingConfig", widths: Widths) -> None:
        super().__init__()
        self.noise_shape = NoiseShape.of_features(widths.features, widths.periodic)
        self._steps = config.ode_steps
        n_in = self.noise_shape.seamless_width() + 1
        self.field = Conditional(config.network, n_in, widths.conditions, widths.features)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the velocity field."""
        return {"field": self.field}

    def path(self, start: Tensor, end: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return points at `time` (n, 1) on the shortest ways (n, features), and their velocity."""
        line, circle = self.noise_shape.split(end - start)
        velocity = self.noise_shape.join(line, wrapped(circle))
        return start + time * velocity, velocity

    def velocity(self, features: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Return v (n, features) at features (n, features) and times (n, 1)."""
        seen = torch.cat([self.noise_shape.seamless(features), time], dim=1)
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
        line, circle = self.noise_shape.split(x)
        return self.noise_shape.join(line, wrapped(circle))


@MODELS.register
class FlowMatchingConfig(ModelConfig):
    """Configuration of `FlowMatching`: the field's network and the steps of the sampler."""

    kind: Literal["flow-matching"] = "flow-matching"
    network: MLPConfig
    ode_steps: PositiveInt = 8

    def build(self, widths: Widths) -> FlowMatching:
        """Build the model with freshly drawn weights."""
        return FlowMatching(self, widths)
