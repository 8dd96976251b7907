"""Ray Train beside a bare PyTorch loop.

Both train the quick recipe's networks on the same toy electrons with as many threads, in turn,
several times; the figure is the median ratio of steps per second. The bare loop has no seeds, no
snapshots, no weights and no checkpoints: the least that trains the same WGAN-GP. Ray's workers
yield to other processes (niceness 15), which would measure those others: here they do not.
"""

import copy
import itertools
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.session import possible_cpus, ray_session
from mleg_ray.cluster.train import train
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from tests.prepared import prepared_dataset


def measure(options: Repeated, results: Results) -> None:
    """Measure in turn."""
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own spelling
    steps = options.few(750, 6)
    run = RunConfig.load(
        "fatgan-quick", (f"training.steps={steps}", f"selection.every={steps // 3}")
    )
    with tempfile.TemporaryDirectory() as folder, ray_session():
        threads = run.training.threads or possible_cpus() - 1
        torch.set_num_threads(threads)
        dataset = prepared_dataset(Path(folder) / "data", shard_rows=6000)
        for number in options.turns:
            bare = bare_steps_per_second(run, dataset)
            on_ray = ray_steps_per_second(run, dataset, folder, f"round{number}")
            figures = {"steps/s bare": bare, "steps/s on Ray": on_ray, "ratio": on_ray / bare}
            results.add({"threads": threads, "steps": steps}, figures, round=number)


def ray_steps_per_second(run: RunConfig, dataset: Dataset, folder: str, name: str) -> float:
    """Train through Ray; count from the first snapshot, when Ray and the data have started."""
    history = train(run, dataset, folder, name=name).card.history
    first, last = history[0], history[-1]
    return (last["step"] - first["step"]) / (last["seconds"] - first["seconds"])


def bare_steps_per_second(run: RunConfig, dataset: Dataset) -> float:
    """Train the same networks in a plain loop."""
    events = dataset.load("train")
    feature_map = run.features.build(dataset.schema, dataset.manifest.conditions).fit([events])
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    features, conditions = batch.x, batch.condition
    generator, critic = mlp(4, 64, 3), mlp(9, 128, 1)
    average = copy.deepcopy(generator)
    adam = partial(torch.optim.Adam, lr=1e-3, betas=(0.0, 0.9), fused=True)
    generator_optimiser, critic_optimiser = adam(generator.parameters()), adam(critic.parameters())
    n, steps, skipped = run.training.batch_size, run.training.steps, run.selection.every
    for step in range(steps):
        if step == skipped:
            started = time.perf_counter()
        for optimiser in (generator_optimiser, critic_optimiser):
            optimiser.param_groups[0]["lr"] = 5e-4 * (1 + math.cos(math.pi * step / steps))
        for _ in range(3):
            rows = torch.randint(len(features), (n,))
            x, c = features[rows], conditions[rows]
            with torch.no_grad():
                real = feature_map.view(x, c)
                fake = feature_map.view(generator(torch.randn(n, 4)), c)
            between = torch.lerp(real, fake, torch.rand(n, 1)).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = (slope.norm(dim=1) - 1).square().mean()
            loss = critic(fake).mean() - critic(real).mean() + penalty
            critic_optimiser.zero_grad()
            loss.backward()
            critic_optimiser.step()
        critic.requires_grad_(False)
        fake = feature_map.view(generator(torch.randn(n, 4)), conditions[rows])
        generator_optimiser.zero_grad()
        (-critic(fake).mean()).backward()
        generator_optimiser.step()
        critic.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1e-3)
    return (steps - skipped) / (time.perf_counter() - started)


def mlp(n_in: int, width: int, n_out: int) -> nn.Sequential:
    """Return three hidden layers with LeakyReLU(0.2)."""
    widths = [n_in, width, width, width]
    hidden = [
        layer
        for a, b in itertools.pairwise(widths)
        for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2))
    ]
    return nn.Sequential(*hidden, nn.Linear(width, n_out))
