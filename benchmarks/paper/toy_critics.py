"""Critics by themselves, against a generator that does not learn, beside what is exact.

The generator of A. Maevskiy's slides (2021) has found one of two modes: the critics' distance
beside the exact one (twice the Jensen-Shannon divergence, or Wasserstein's), how far they are from
the best discriminator p/(p + q), and how steep they are where the generator's events are. In planes
the level lines of critics of Wasserstein's distance.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from matplotlib.figure import Figure
from scipy.special import expit

from benchmarks.common import critics
from benchmarks.common.divergence import SIZE, Array
from benchmarks.common.options import Options
from benchmarks.common.results import Results, Row
from benchmarks.paper.toy_gans import REACH, points, true_events
from benchmarks.physics.detector_toys import PLANES, density_of
from mleg_ray.objectives.adversarial import (
    Adversarial,
    CrossEntropy,
    Vanilla,
    VanillaPenalised,
    WassersteinClipped,
    WassersteinGP,
)
from mleg_ray.report.drawing import GENERATED, INK, LEGEND, TRUTH, TRUTH_FILL

# The slides' generator, which has found one of two modes; and critics against it.
TOY, FOUND = "toy-two-modes", (5.0, 0.8)
CRITICS: dict[str, Adversarial] = {
    "GAN": Vanilla(critic_updates=1),
    "GAN-DP": VanillaPenalised(critic_updates=1, gradient_penalty=0.5),
    "WGAN, clipped": WassersteinClipped(critic_updates=1),
    "WGAN-GP": WassersteinGP(critic_updates=1, gradient_penalty=10.0),
    "WGAN-GP, one-sided": WassersteinGP(critic_updates=1, gradient_penalty=10.0, one_sided=True),
}
CONTOURS = ("WGAN, clipped", "WGAN-GP")
SIDE = 80  # points along a plane


@dataclass(frozen=True, kw_only=True)
class Asked(Options):
    """For how long is trained."""

    steps: Annotated[int, typer.Option(min=1, help="Moves of each critic.")] = 500


def measure(options: Asked, results: Results) -> None:
    """Train critics against a generator that does not learn, on a line and in planes."""
    steps = options.few(options.steps, 20)
    modes = density_of(TOY)
    x = np.linspace(-10, 12, 4401)
    step = x[1] - x[0]
    p = critics.density(modes, x)
    q = np.exp(-(((x - FOUND[0]) / FOUND[1]) ** 2) / 2) / (FOUND[1] * math.sqrt(2 * math.pi))
    exact = {
        "Jensen-Shannon": 2 * critics.jensen_shannon(p, q, step),
        "Wasserstein": critics.wasserstein(p, q, step),
    }
    results.add({"critic": "exact"}, exact)
    rng = np.random.default_rng(3)

    def sampled(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        real = modes.sample(rng, n)["x"]
        fake = FOUND[0] + FOUND[1] * rng.standard_normal(n)
        return tensor(real[:, None]), tensor(fake[:, None])

    drawn: dict[str, Array] = {}
    for name, objective in options.some(list(CRITICS.items())):
        critic = critics.trained_alone(objective, sampled, steps, seed=1)
        real, fake = (critics.scores(critic, some) for some in sampled(options.few(100_000)))
        figures: Row = {"slope at generated": critics.slope(critic, sampled(SIZE)[1])}
        drawn[name] = critics.scores(critic, tensor(x[:, None]))
        if isinstance(objective, CrossEntropy):
            entropy = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
            figures["Jensen-Shannon"] = float(2 * math.log(2) - entropy)
            error = np.square(expit(drawn[name]) - critics.discriminator(p, q))
            figures["off the best"] = float(np.sqrt((error * (p + q)).sum() * step / 2))
        else:
            figures["Wasserstein"] = float(real.mean() - fake.mean())
        results.add({"critic": name}, figures)
    results.draw(line_picture, x, p, q, drawn, name="line")
    surfaces = {
        (name, plane): surface(plane, name, steps)
        for name in CONTOURS
        for plane in options.some(PLANES)
    }
    results.draw(contours, surfaces, name="contours")


def tensor(values: Array) -> torch.Tensor:
    """Return numbers as networks take them."""
    return torch.from_numpy(values).float()


def surface(plane: str, name: str, steps: int) -> Array:
    """Return the scores (SIDE, SIDE) of a critic of a plane's events and the same with noise of 1.

    Such events, as of no generator, are those of arXiv:1704.00028, fig. 1b.
    """
    rng = np.random.default_rng(4)

    def sampled(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        real, other = (points(true_events(plane, n, rng)) for _ in range(2))
        return tensor(real), tensor(other + rng.standard_normal(other.shape))

    critic = critics.trained_alone(CRITICS[name], sampled, steps, seed=1)
    return critics.scores(critic, critics.grid_of(-REACH, REACH, SIDE)).reshape(SIDE, SIDE)


def line_picture(x: Array, p: Array, q: Array, drawn: Mapping[str, Array]) -> Figure:
    """Return the densities, discriminators beside the best one, and Wasserstein critics."""
    figure = Figure(figsize=(10, 3), layout="constrained")
    densities, probabilities, heights = figure.subplots(1, 3)
    densities.fill_between(x, p, color=TRUTH_FILL, label="truth")
    densities.plot(x, q, color=GENERATED, label="generator")
    densities.set(xlabel="x", ylabel="density")
    probabilities.plot(x, critics.discriminator(p, q), color=INK, linestyle="--", label="best")
    for name, scores in drawn.items():
        if isinstance(CRITICS[name], CrossEntropy):
            probabilities.plot(x, expit(scores), label=name)
        else:
            heights.plot(x, scores - scores.min(), label=name)
    probabilities.set(xlabel="x", ylabel="probability of being real")
    heights.set(xlabel="x", ylabel="critic, from its least")
    for axes in (densities, probabilities, heights):
        if axes.get_legend_handles_labels()[1]:
            axes.legend(**LEGEND)
    return figure


def contours(surfaces: Mapping[tuple[str, str], Array]) -> Figure:
    """Return the level lines of critics (down) over the events of planes (across)."""
    names, planes = (list(dict.fromkeys(some)) for some in zip(*surfaces, strict=True))
    size = (2.8 * len(planes), 2.9 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(names), len(planes), squeeze=False)
    line = np.linspace(-REACH, REACH, SIDE)
    for axes, (name, plane) in zip(grid.flat, itertools.product(names, planes), strict=True):
        truth = points(true_events(plane, 1000, np.random.default_rng(7)))
        axes.scatter(*truth.T, s=0.5, color=GENERATED, linewidth=0, rasterized=True)
        axes.contour(
            line, line, surfaces[name, plane], 15, colors=TRUTH, linewidths=0.7, linestyles="solid"
        )
        axes.set(aspect="equal", xticks=[], yticks=[], title=f"{name}\n{plane}")
    return figure
