"""The surface of a player's loss around its trained weights, and how rough it is.

Random directions are filter-normalised: each row of a layer's weights (of a convolution: each
filter) moves by a random vector of its own length, so that surfaces of networks with differently
scaled weights compare (Li et al., arXiv:1712.09913, sec. 4). Biases and other parameters of one
dimension stay.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field as Option
from pydantic import PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from mleg_ray.checkpoint import Checkpoint, environment
from mleg_ray.config import Config
from mleg_ray.errors import CheckpointError
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.events import Events
from mleg_ray.models import Model
from mleg_ray.objectives import Objective, Setting
from mleg_ray.randomness import Noise, derive_seed, stream

# Of a loss's size: what a surface must span. Single precision rounds a loss to 1e-7 of it, and a
# bowl of this span on the default grid bends by 1e-6 from point to point.
RESOLVED = 1e-4
BENT = 1e-3  # of a bowl's curvature: less is rounding of single precision


class LandscapeSpec(Config):
    """All that determines a landscape of a checkpoint.

    The grid has `grid` x `grid` points from -`reach` to `reach`, in units of the weights' own size,
    in the plane of each of `pairs` pairs of random directions.
    """

    player: str
    grid: Annotated[int, Option(ge=5, le=501)] = 21
    reach: PositiveFloat = 1.0
    pairs: Annotated[int, Option(ge=2)] = 3
    events: PositiveInt = 2000
    seed: int = 1

    @model_validator(mode="after")
    def _has_a_centre(self) -> Self:
        if self.grid % 2 == 0:
            raise ValueError("grid must be odd, so that the trained weights lie on it")
        return self

    @property
    def axis(self) -> FloatArray:
        """The steps (grid,) along either direction; 0 is among them."""
        half = self.grid // 2
        return np.arange(-half, half + 1, dtype=np.float64) * (self.reach / half)


class Spread(Config):
    """A mean over the pairs of directions, and its standard error."""

    value: float
    uncertainty: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """Summarise two values or more."""
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        return Spread(value=float(np.mean(values)), uncertainty=float(error))


class Landscape(Config):
    """The surfaces of a player's loss: `surfaces[pair][i][j]` at steps i, j of the two directions.

    `loss` is that of the trained weights. `span` is the difference between the highest and the
    lowest point of a surface; see `roughness` and `nonconvex_share`.
    """

    format_version: Literal[1] = 1
    spec: LandscapeSpec
    checkpoint: str
    dataset: str
    loss: float
    surfaces: tuple[tuple[tuple[float, ...], ...], ...]
    span: Spread
    roughness: Spread
    nonconvex_share: Spread
    environment: dict[str, str]


def landscape(
    checkpoint: Checkpoint,
    events: Events,
    spec: LandscapeSpec,
    progress: Callable[[int], None] = lambda points: None,
) -> Landscape:
    """Compute a player's loss around the weights of a checkpoint, which is not changed.

    Every point sees the same physical events, as `random_events` draws them, and the same
    noise; nothing is dropped out. `progress` hears how many points are done.

    Raises:
        CheckpointError: the model has no such player, a loss is NaN or infinite, or a surface is
            flat within `RESOLVED`.
    """
    model, objective = copy.deepcopy(checkpoint.model), objective_of(checkpoint)
    player = player_of(checkpoint, model, spec.player)
    noise = Noise(checkpoint.device)
    noise.seed(derive_seed(spec.seed, "landscape/encode"))
    own, there = checkpoint.feature_map, events.to(checkpoint.device)
    batch = objective.traits.encode(own, there, noise=noise)

    def loss() -> float:
        noise.seed(derive_seed(spec.seed, "landscape/noise"))
        made = objective.loss(spec.player, model, own, batch, noise=noise)
        return made.value.item()

    trained = loss()
    found = surfaces(player, loss, spec, progress)
    if not np.isfinite(found).all():
        raise CheckpointError(
            f"{checkpoint.uri}: the loss of '{spec.player}' is not finite everywhere on the grid; "
            "take a smaller --reach"
        )
    if any(np.ptp(surface) <= RESOLVED * np.abs(surface).max() for surface in found):
        raise CheckpointError(
            f"{checkpoint.uri}: around the trained weights the loss of '{spec.player}' is flat, "
            f"{trained:g} within {RESOLVED:g} of it, so that its shape is rounding; take a larger "
            "--reach, and if it stays flat, the network is dead: train it anew"
        )
    return Landscape(
        spec=spec,
        checkpoint=checkpoint.digest,
        dataset=checkpoint.card.dataset.dataset_digest,
        loss=trained,
        surfaces=found.tolist(),
        span=Spread.of([float(np.ptp(surface)) for surface in found]),
        roughness=Spread.of([roughness(surface) for surface in found]),
        nonconvex_share=Spread.of([nonconvex_share(surface) for surface in found]),
        environment=environment(),
    )


def player_of(checkpoint: Checkpoint, model: Model, name: str) -> nn.Module:
    """Return a model's player; `CheckpointError` names those there are if it has no such."""
    players = model.players()
    if name not in players:
        raise CheckpointError(
            f"{checkpoint.uri}: no player '{name}'; a model of kind "
            f"'{checkpoint.run.model.kind}' has --player {', '.join(players)}"
        )
    return players[name]


def objective_of(checkpoint: Checkpoint) -> Objective:
    """Return the objective that a checkpoint was trained by."""
    run, ranges = checkpoint.run, checkpoint.card.condition_range
    own, teacher, seed = checkpoint.feature_map, checkpoint.teacher, run.training.seed
    return run.objective.bind(Setting(checkpoint.schema, own, ranges, seed, teacher))


def surfaces(
    player: nn.Module,
    loss: Callable[[], float],
    spec: LandscapeSpec,
    progress: Callable[[int], None] = lambda points: None,
) -> FloatArray:
    """Return losses (pairs, grid, grid) at θ + a·d + b·e, for steps a and b along d and e.

    The player's weights are moved in place and end where they were.
    """
    weights = [(p, p.detach().clone()) for p in player.parameters()]
    result = np.empty((spec.pairs, spec.grid, spec.grid))
    for pair in range(spec.pairs):
        seeds = (derive_seed(spec.seed, "landscape/direction", pair, k) for k in (0, 1))
        first, second = (filter_normalised(player, stream(seed)) for seed in seeds)
        for i, a in enumerate(spec.axis.tolist()):
            for j, b in enumerate(spec.axis.tolist()):
                for (parameter, trained), d, e in zip(weights, first, second, strict=True):
                    parameter.data.copy_(trained + a * d + b * e)
                result[pair, i, j] = loss()
            progress((pair * spec.grid + i + 1) * spec.grid)
        for parameter, trained in weights:
            parameter.data.copy_(trained)
    return result


def filter_normalised(player: nn.Module, generator: torch.Generator) -> list[Tensor]:
    """Return a random direction in the space of a player's parameters, in their order and shapes.

    Each filter d_i is d_i |θ_i| / |d_i| of a normal d_i (arXiv:1712.09913, sec. 4), so its norm is
    that of the weights; parameters of fewer than two dimensions do not move.
    """
    return [_direction(parameter.detach(), generator) for parameter in player.parameters()]


def _direction(weights: Tensor, generator: torch.Generator) -> Tensor:
    if weights.ndim < 2:
        return torch.zeros_like(weights)
    random = torch.randn(weights.shape, generator=generator).to(weights)
    size, length = (torch.linalg.vector_norm(w.flatten(1), dim=1) for w in (weights, random))
    direction: Tensor = random * (size / length).reshape(-1, *[1] * (weights.ndim - 1))
    return direction


def roughness(surface: FloatArray) -> float:
    """Return the mean absolute curvature along both directions, in units of a bowl's.

    R = mean |L(x + h) - 2 L(x) + L(x - h)| / h² x r² / (max L - min L) over the inner points of
    all lines of losses (grid, grid), not all the same, from -r to r in steps of h. It is 1 for the
    bowl a² + b², whatever its height, 0 for a plane, and grows with how often and how sharply the
    slope changes.
    """
    bends = np.concatenate([np.diff(surface, 2, axis=axis).ravel() for axis in (0, 1)])
    return float(np.abs(bends).mean() / _bowl(surface))


def nonconvex_share(surface: FloatArray) -> float:
    """Return the share of inner points where losses (grid, grid) bend down along some direction.

    There the smallest eigenvalue of the Hessian of the two directions, by finite differences, is
    less than -0.001 of a bowl's curvature. Curvatures of a random plane are weighted means of those
    of the whole space, so where the plane is not convex, the loss is not; that the plane is convex
    proves nothing (arXiv:1712.09913, sec. 6).
    """
    aa = np.diff(surface, 2, axis=0)[:, 1:-1]
    bb = np.diff(surface, 2, axis=1)[1:-1]
    ab = (surface[2:, 2:] - surface[2:, :-2] - surface[:-2, 2:] + surface[:-2, :-2]) / 4
    smallest = (aa + bb) / 2 - np.hypot((aa - bb) / 2, ab)
    return float((smallest < -BENT * _bowl(surface)).mean())


def _bowl(surface: FloatArray) -> float:
    """Return the second difference of a² + b² on this grid, scaled to the surface's span."""
    half = len(surface) // 2
    return float(np.ptp(surface)) / half**2
