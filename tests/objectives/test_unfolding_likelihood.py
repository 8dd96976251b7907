"""Unfolding by likelihood: closed forms, and a closure that doing nothing fails."""

import math

import pytest
import torch
from torch.distributions import Normal

from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.statistics.distances import prepare_ks, two_sample
from mleg_ray.events import Batch, Events, EventSchema, Field, Group
from mleg_ray.features import FeatureMap, FeatureMapConfig
from mleg_ray.models.base import Spaces
from mleg_ray.models.flow import FlowConfig
from mleg_ray.objectives import OBJECTIVES, Setting
from mleg_ray.objectives.unfolding import UnfoldingLikelihood
from mleg_ray.randomness import Noise
from mleg_ray.run import TrainingConfig
from mleg_ray.space import Space
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop

NUMBER = EventSchema([Field(name="particle.x")], {"particle": Group()})
PAIRS = EventSchema(
    [Field(name="particle.x"), Field(name="vertex.x", role="condition")],
    {"particle": Group(), "vertex": Group(truth_of="particle")},
)
CPU = torch.device("cpu")


class Smearing:
    """Measures x + shift + width z."""

    schema = PAIRS
    noise_space = Space.numbers(1)
    has_density = True

    def __init__(self, width: float, shift: float = 0.0) -> None:
        self._width, self._shift = width, shift

    def decode(self, noise: torch.Tensor, given: Events) -> Events:
        seen = given.columns["vertex.x"] + self._shift + self._width * noise[:, 0]
        return given.replacing((), {"particle.x": seen})

    def log_density(self, events: Events) -> torch.Tensor:
        middle = events.columns["vertex.x"] + self._shift
        return Normal(middle, self._width).log_prob(events.columns["particle.x"])


class Bell(torch.nn.Module):
    """A density that does not learn: normal."""

    def log_prob(self, features: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return Normal(0.0, 1.0).log_prob(features[:, 0])


def numbers(x: torch.Tensor) -> Events:
    return Events({"particle.x": x.double()}, {}, torch.ones(len(x)).double())


def unfolding(
    x: torch.Tensor, teacher: Smearing, **settings: object
) -> tuple[FeatureMap, Batch, UnfoldingLikelihood]:
    feature_map = FeatureMapConfig().build(NUMBER, {}).fit([numbers(x)])
    config = OBJECTIVES.parse({"kind": "unfolding-likelihood", **settings})
    objective = config.bind(Setting(NUMBER, feature_map, {}, 1, teacher))
    return feature_map, feature_map.fields(numbers(x)), objective


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_loss_is_that_of_the_smeared_density(shift: float) -> None:
    """Features of mean m and width s make the density N(m, s); seen through σ it is wider."""
    x = torch.linspace(-2, 2, 9)
    feature_map, batch, objective = unfolding(x, Smearing(0.5, shift), proposals=20_000)
    mean, std = x.mean().item(), x.std(correction=0).item()
    noise = Noise(CPU)
    noise.seed(1)
    loss = objective.loss("flow", Bell(), feature_map, batch, noise=noise).value.item()
    variance = std**2 + 0.5**2
    squares = (x - mean - shift).square().mean().item()
    expected = (math.log(2 * math.pi * variance) + squares / variance) / 2
    assert loss == pytest.approx(expected, abs=0.01)


def test_more_proposals_tighten_the_bound() -> None:
    x = torch.linspace(-2, 2, 2000)
    losses = []
    for proposals in (1, 4, 64):
        feature_map, batch, objective = unfolding(x, Smearing(0.5), proposals=proposals)
        noise = Noise(CPU)
        noise.seed(1)
        losses.append(objective.loss("flow", Bell(), feature_map, batch, noise=noise).value.item())
    assert losses[0] > losses[1] > losses[2]


def test_a_spectrum_comes_back_that_doing_nothing_does_not_give() -> None:
    """Two peaks at ±1 of width 0.3, smeared by 0.6 into one."""
    rng = torch.Generator().manual_seed(1)

    def drawn(n: int) -> torch.Tensor:
        sign = 2.0 * (torch.rand(n, generator=rng) < 0.7) - 1
        return sign + 0.3 * torch.randn(n, generator=rng)

    x = drawn(20_000) + 0.6 * torch.randn(20_000, generator=rng)
    feature_map, batch, objective = unfolding(x, Smearing(0.6), proposals=256)
    torch.manual_seed(1)
    model = FlowConfig(transforms=2, bins=8, hidden=(16,)).build(Spaces.of(feature_map))
    adam = {"learning_rate": 2e-2, "betas": [0.9, 0.99], "schedule": "cosine"}
    training = TrainingConfig(steps=600, batch_size=64, ema_decay=0.98, optimisers={"flow": adam})
    loop = TrainingLoop(model, feature_map, objective, training, CPU)
    *_, last = loop.run(resident(batch, 64, 1), 600)
    assert last.finite
    made = feature_map.decode(
        loop.ema.sample(50_000, torch.zeros(50_000, 0), generator=rng), numbers(torch.zeros(50_000))
    )
    true, ones = drawn(50_000).double().numpy(), torch.ones(50_000).double().numpy()
    unfolded = two_sample(prepare_ks, true, made.columns["particle.x"].detach().numpy(), ones, ones)
    nothing = two_sample(prepare_ks, true, x.double().numpy(), ones, ones[:20_000])
    assert nothing > 0.12
    assert unfolded < 0.03


def test_a_response_without_density_is_refused() -> None:
    teacher = Smearing(0.5)
    teacher.has_density = False
    config = OBJECTIVES.parse({"kind": "unfolding-likelihood"})
    with pytest.raises(ConfigError, match="name a flow, such as the recipe response-flow"):
        config.require_teacher(teacher, NUMBER, Space.numbers(1))
