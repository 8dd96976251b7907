"""A bare PyTorch loop of a WGAN-GP: the least that trains a recipe's networks.

It has no seeds, no snapshots, no weights of events and no checkpoints.
"""

import copy
import itertools
import math
import time
from functools import partial

import torch
from torch import nn

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.models.gan import GANConfig
from mleg_ray.models.networks.mlp import MLPConfig
from mleg_ray.objectives.adversarial import WassersteinGP
from mleg_ray.objectives.discrepancy import mmd2
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig


def bare_steps_per_second(run: RunConfig, dataset: Dataset, device: torch.device) -> float:
    """Train the same networks in a plain loop; the first `selection.every` steps do not count."""
    model, objective, training = run.model, run.objective, run.training
    assert isinstance(model, GANConfig)
    assert isinstance(objective, WassersteinGP)
    events = dataset.load("train")
    feature_map = run.features.build(dataset.schema, dataset.manifest.conditions).fit([events])
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu"))).to(device)
    feature_map.to(device)
    features, conditions = batch.x, batch.condition
    seen = feature_map.view(features[:2], conditions[:2]).shape[1]
    generator = mlp(model.generator, model.noise_dim, features.shape[1]).to(device)
    critic = mlp(model.critic, seen, 1).to(device)
    average = copy.deepcopy(generator)
    adam = partial(torch.optim.Adam, lr=1e-3, betas=(0.0, 0.9), fused=True)
    generator_optimiser, critic_optimiser = adam(generator.parameters()), adam(critic.parameters())
    n, steps, skipped = training.batch_size, training.steps, run.selection.every
    weight = torch.ones(n, device=device)
    noise = partial(torch.randn, n, model.noise_dim, device=device)
    for step in range(steps):
        if step == skipped:
            finish(device)
            started = time.perf_counter()
        for optimiser in (generator_optimiser, critic_optimiser):
            optimiser.param_groups[0]["lr"] = 5e-4 * (1 + math.cos(math.pi * step / steps))
        for _ in range(objective.critic_updates):
            rows = torch.randint(len(features), (n,), device=device)
            x, c = features[rows], conditions[rows]
            with torch.no_grad():
                real = feature_map.view(x, c)
                fake = feature_map.view(generator(noise()), c)
            between = torch.lerp(real, fake, torch.rand(n, 1, device=device)).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = objective.gradient_penalty * (slope.norm(dim=1) - 1).square().mean()
            loss = critic(fake).mean() - critic(real).mean() + penalty
            critic_optimiser.zero_grad()
            loss.backward()
            critic_optimiser.step()
        critic.requires_grad_(False)
        fake = feature_map.view(generator(noise()), conditions[rows])
        loss = -critic(fake).mean()
        if objective.mmd_weight:
            discrepancy = mmd2(real, fake, weight, weight, objective.mmd_bandwidths)
            loss = loss + objective.mmd_weight * discrepancy
        generator_optimiser.zero_grad()
        loss.backward()
        generator_optimiser.step()
        critic.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1e-3)
    finish(device)
    return (steps - skipped) / (time.perf_counter() - started)


def mlp(config: object, n_in: int, n_out: int) -> nn.Sequential:
    """Return a recipe's hidden layers with LeakyReLU(0.2), and their dropout."""
    assert isinstance(config, MLPConfig)
    hidden: list[nn.Module] = []
    for a, b in itertools.pairwise((n_in, *config.widths)):
        hidden += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        if config.dropout:
            hidden.append(nn.Dropout(config.dropout))
    return nn.Sequential(*hidden, nn.Linear(config.widths[-1], n_out))


def finish(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
