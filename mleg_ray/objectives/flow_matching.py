"""Conditional flow matching: a velocity field learns the mean way from noise to features."""

from typing import ClassVar, Literal

from mleg_ray.events import Batch
from mleg_ray.models.flow_matching import FlowMatching
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Traits
from mleg_ray.randomness import Noise


@OBJECTIVES.register
class VelocityMatching(Objective):
    """L = E_w |v(x_t, t) - (x₁ - x₀)|² at uniform t, x_t on the straight way from noise to event.

    Source: Lipman et al., arXiv:2210.02747, eq. 23 with σ_min = 0. Its minimum is the weighted mean
    of velocities, which negative weights only correct, as long as their sum is positive around
    every point.
    """

    kind: Literal["flow-matching"] = "flow-matching"
    traits: ClassVar[Traits] = Traits({"field": 1})

    def loss(
        self, player: str, model: FlowMatching, seen: Seen, batch: Batch, *, noise: Noise
    ) -> Loss:
        """Return the loss of the one player, `field`."""
        start = model.noise_space.draw_from(noise, len(batch))
        time = noise.uniform(len(batch), 1)
        point, velocity = model.path(start, batch.x, time)
        found = model.velocity(point, time, batch.condition)
        error = (found - velocity).square().sum(dim=1)
        return Loss((batch.weight * error).mean(), {})
