"""Critics that are trained alone, against events that do not change, beside what is exact."""

import itertools
from collections.abc import Callable

import numpy as np
import torch
from scipy.special import rel_entr
from torch import Tensor, nn

from mleg_ray.catalog.sources.densities import Array, ExactDensity
from mleg_ray.events import Events
from mleg_ray.models.networks.mlp import MLPConfig
from mleg_ray.objectives.adversarial import Adversarial
from mleg_ray.objectives.base import Views
from mleg_ray.randomness import Noise
from mleg_ray.space import Space

BATCH = 256
NETWORK = MLPConfig.model_validate({"widths": (64, 64, 64), "activation": "relu"})
RATE = 1e-3
Sampled = Callable[[int], tuple[Tensor, Tensor]]  # n -> real and generated events (n, d)


def trained_alone(objective: Adversarial, sampled: Sampled, steps: int, seed: int) -> nn.Module:
    """Return a critic after so many moves of Adam, each against new events of both kinds."""
    noise = Noise(torch.device("cpu"))
    noise.seed(seed)
    real, _ = sampled(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critic = NETWORK.build(Space.numbers(real.shape[1]), 0, Space.numbers(1))
    optimiser = torch.optim.Adam(critic.parameters(), lr=RATE, betas=(0.5, 0.9))
    condition, weight = torch.zeros(BATCH, 0), torch.ones(BATCH)
    for _ in range(steps):
        real, fake = sampled(BATCH)
        optimiser.zero_grad(set_to_none=True)
        loss = objective.critic_loss(critic, Views(real, fake, condition, weight), noise)
        torch.autograd.backward(loss.value)
        optimiser.step()
        objective.constrain("critic", critic)
    return critic


def scores(critic: nn.Module, points: Tensor) -> Array:
    """Return a critic's scores (n,) of points (n, d)."""
    with torch.no_grad():
        found: Tensor = critic(points, torch.zeros(len(points), 0))[:, 0]
    return found.double().numpy()


def slope(critic: nn.Module, points: Tensor) -> float:
    """Return the mean size of a critic's gradient at points (n, d): what moves a generator."""
    at = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(at, torch.zeros(len(at), 0)).sum(), at)
    return float(gradient.norm(dim=1).mean())


def density(toy: ExactDensity, x: Array) -> Array:
    """Return the density (n,) of a number at x (n,)."""
    at = Events({"x": torch.from_numpy(x)}, {}, torch.ones(len(x)).double())
    return np.asarray(toy.log_density(at).exp().numpy())


def discriminator(p: Array, q: Array) -> Array:
    """Return the best probability that an event is real, p/(p + q)."""
    return p / (p + q)


def jensen_shannon(p: Array, q: Array, step: float) -> float:
    """Return ½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2, of densities on a grid, in nats."""
    m = (p + q) / 2
    return float((rel_entr(p, m) + rel_entr(q, m)).sum() * step / 2)


def wasserstein(p: Array, q: Array, step: float) -> float:
    """Return ∫ |F - G| dx of densities on a grid."""
    return float(np.abs(np.cumsum(p - q)).sum() * step**2)


def grid_of(low: float, high: float, side: int) -> Tensor:
    """Return the points (side², 2) of a square, row by row."""
    line = torch.linspace(low, high, side).tolist()
    return torch.tensor([(x, y) for y, x in itertools.product(line, line)])
