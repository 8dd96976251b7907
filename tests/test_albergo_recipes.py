"""Recipes of toys and of a measured pt have the values of their sources.

Tables and chapters are those of M. S. Albergo's dissertation (2018); what it leaves open is not
tested. The first Wasserstein GAN has those of its algorithm 1, arXiv:1701.07875.
"""

import pytest
import torch

from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.config import look_up
from mleg_ray.events import Events, EventSchema
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig

TOYS = {  # ch. 2.1
    "model.noise_dim": 1,
    "model.generator.widths": (256, 256),
    "model.generator.activation": "relu",
    "model.critic.widths": (256, 256),
    "model.critic.activation": "relu",
    "features.standardise": False,
    "training.batch_size": 256,
    "training.steps": round(1000 * 60_000 / 256),
    "training.ema_decay": 0.0,
}
PENALISED = {"objective.kind": "gan-dp", "objective.penalised": "probability"}
SEARCHED = (1e-4, 1e-3, 1e-2, 1e-1)  # learning rates, table A.1
VALUES = {
    "gan-toys-paper": TOYS | {"objective.kind": "vanilla-gan"},
    "gan-dp-toys-paper": TOYS | PENALISED,
    "wgan-gp-toys-paper": TOYS | {"objective.kind": "wgan-gp", "objective.one_sided": False},
    "wgan-clipped-toys-paper": TOYS
    | {
        "objective.kind": "wgan-clipped",
        "objective.clip": 0.01,
        "objective.critic_updates": 5,
        "training.batch_size": 64,
        "training.optimisers.critic.kind": "rmsprop",
        "training.optimisers.critic.learning_rate": 5e-5,
        "training.optimisers.generator.kind": "rmsprop",
        "training.optimisers.generator.learning_rate": 5e-5,
    },
    "conditional-gan-dp-toys-paper": TOYS
    | PENALISED
    | {  # table A.2
        "dataset": "toy-conditional-gaussian",
        "features.conditions": (),
        "objective.gradient_penalty": 0.5,
        "objective.critic_updates": 5,
        "training.batch_size": 128,
        "training.steps": 3000 * 60_000 // 128,
        "training.optimisers.critic.learning_rate": 0.008,
        "training.optimisers.generator.learning_rate": 0.008,
    },
    "gan-dp-smearing-paper": PENALISED
    | {  # ch. 3
        "dataset": "electron-pt-smearing",
        "model.generator.widths": (128, 128),
        "model.generator.activation": "relu",
        "model.generator.output": "tanh",
        "model.critic.widths": (128, 128),
        "model.critic.output": "linear",  # the logit of a sigmoid
        "training.batch_size": 64,
    },
}


@pytest.mark.parametrize("recipe", VALUES)
def test_values(recipe: str) -> None:
    run = RunConfig.load(recipe).model_dump()
    for key, value in VALUES[recipe].items():
        assert look_up(run, key) == value, key


def test_what_is_open_is_among_what_was_searched() -> None:
    """Tables A.1 and A.3: learning rates, the penalties' weights, and the critic's updates."""
    for recipe in ("gan-toys-paper", "gan-dp-toys-paper", "wgan-gp-toys-paper"):
        run = RunConfig.load(recipe).model_dump()
        assert run["objective"]["critic_updates"] in (1, 5, 10)
        assert run["objective"].get("gradient_penalty", 0.5) in (0.1, 0.5, 1.0, 5.0, 10.0, 20.0)
        rates = {own["learning_rate"] for own in run["training"]["optimisers"].values()}
        assert rates < set(SEARCHED)


def test_electrons_are_scaled_to_between_minus_one_and_one() -> None:
    """A true pt of 25 GeV, η = -1.25, φ = π/2, and 0.2 GeV less than the true pt."""
    feature_map = RunConfig.load("gan-dp-smearing-paper").features.build(electrons(1)[0], {})
    columns = {
        "electron.pt": [24.8],
        "vertex.pt": [25.0],
        "electron.eta": [-1.25],
        "electron.phi": [torch.pi / 2],
    }
    events = Events(
        {name: torch.tensor(values).double() for name, values in columns.items()},
        {},
        torch.ones(1).double(),
    )
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    assert batch.x.tolist() == [[pytest.approx(-0.2 / 0.8, rel=1e-5)]]
    assert batch.condition.tolist() == [pytest.approx([-0.5, 0.5, -0.5], rel=1e-6)]  # η, φ, pt


def test_the_mean_of_a_conditional_gaussian_is_seen_as_it_is() -> None:
    spec = DatasetSpec.load("toy-conditional-gaussian")
    mean = torch.tensor([0.0, 5.0, 10.0, 10.0]).double()
    events = Events({"x": mean + 1, "mean": mean}, {}, torch.ones(4).double())
    run = RunConfig.load("conditional-gan-dp-toys-paper")
    feature_map = run.features.build(spec.schema_, spec.conditions).fit([events])
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    assert batch.condition[:, 0].tolist() == [0, 5, 10, 10]
    assert batch.x[:, 0].tolist() == [1, 6, 11, 11]


def electrons(n: int) -> tuple[EventSchema, Events]:
    """Return the schema and n events of the smearing of pt."""
    own = (f"source.of.events={n}", f"shard_events={n}")
    spec = DatasetSpec.load("electron-pt-smearing", own)
    columns = spec.source.open(spec.schema_, spec.conditions, n).shard(0)
    stored = checked(columns, spec.stored, spec.name)[0]
    return spec.schema_, to_events(stored, spec.schema_, spec.conditions)


def test_no_electron_lies_beyond_the_scale() -> None:
    schema, events = electrons(20_000)
    feature_map = RunConfig.load("gan-dp-smearing-paper").features.build(schema, {}).fit([events])
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    assert batch.x.abs().max() < 1
    assert batch.condition.abs().max() <= 1
