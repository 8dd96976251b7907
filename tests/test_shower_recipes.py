"""Recipes of shower images have the values of their dissertation, and train.

Tables and sections are those of M. S. Albergo, 2018; what it leaves open and is ours is told in
docs/physics/shower-images.md.
"""

import functools

import pytest
import torch

from mleg_ray.catalog.codec import to_events
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.config import look_up, named_folders
from mleg_ray.events import Events
from mleg_ray.features import FeatureMap
from mleg_ray.models.gan import GAN
from mleg_ray.objectives import Setting
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop
from tests.recipes import features_of

FAMILIES = ("dcgan-dp", "dcwgan-gp", "fcgan", "vae", "bcvae")
RECIPES = sorted(
    path.stem
    for family in FAMILIES
    for path in named_folders("tuning")[0].glob(f"{family}-showers*.toml")
)
PAPERS = [recipe for recipe in RECIPES if recipe.endswith("-paper")]
COMMON = {"features.standardise": False, "training.batch_size": 32, "training.ema_decay": 0.0}
DCGAN = {  # sec. 4.2.1
    "features.steps.0.scale": "maximum",  # to [0, 1]
    "model.noise_dim": 100,
    "model.generator.norm": "batch",
    "model.generator.activation": "relu",
    "model.generator.output": "sigmoid",
    "model.critic.norm": "batch",
    "model.critic.activation": "leaky-relu",
    "model.critic.negative_slope": 0.2,
    "model.critic.output": "linear",
    "objective.critic_updates": 3,
}
WGAN_GP = {
    "objective.kind": "wgan-gp",
    "objective.gradient_penalty": 10.0,
    "training.optimisers.generator.learning_rate": 2e-4 / 4,
    "training.optimisers.critic.learning_rate": 2e-4 / 4,
}
VAE = {  # sec. 5.1.2
    "features.steps.0.scale": 1.0,  # MeV, as the losses are
    "model.encoder.first_activation": "relu",
    "model.encoder.activation": "leaky-relu",
    "model.decoder.first_activation": "relu",
    "model.decoder.activation": "leaky-relu",
    "objective.kind": "beta-vae",
    "objective.reconstruction": "sum",
    "objective.beta": 1.0,
    "training.steps": 300 * 25_000 / 32,
    "training.optimisers.autoencoder.learning_rate": 1e-4,
}
VALUES = {
    "dcwgan-gp-showers-paper": DCGAN | WGAN_GP | {"dataset": "showers-800"},
    "dcwgan-gp-showers-64-paper": DCGAN | WGAN_GP | {"dataset": "showers-800-64"},
    "vae-showers-paper": VAE | {"dataset": "showers-800"},
    "vae-showers-64-paper": VAE | {"dataset": "showers-800-64"},
    "bcvae-showers-paper": VAE | {"dataset": "showers-100-800-1000"},
}
# Tables 4.2 and 4.3: kernel, stride, padding and norm of each layer, and the maps' pixels.
FOUR = (4, 2, 1, True)
LAYERS = {
    32: {
        "generator": ((2, 1, 0, True), FOUR, (5, 1, 0, True), (3, 2, 1, True), (4, 2, 0, False)),
        "critic": (
            (5, 1, 1, False), (5, 2, 1, True), (4, 2, 0, True), (2, 2, 1, True), (1, 2, 0, False)
        ),
    },
    64: {
        "generator": ((4, 1, 0, True), FOUR, FOUR, FOUR, (4, 2, 1, False)),
        "critic": ((4, 2, 1, False), FOUR, FOUR, FOUR, (4, 1, 0, False)),
    },
}  # fmt: skip
PIXELS = {
    32: {"generator": (2, 4, 8, 15, 32), "critic": (30, 14, 6, 4, 2)},
    64: {"generator": (4, 8, 16, 32, 64), "critic": (32, 16, 8, 4, 1)},
}


@functools.cache
def drawn(dataset: str) -> tuple[DatasetSpec, Events]:
    """Return an entry, and a few of its events of each energy."""
    spec = DatasetSpec.load(dataset, ("source.events=24", "shard_events=24"))
    source = spec.source.open(spec.schema_, spec.conditions, 24)
    shards = range(sum(map(len, source.shard_rows())))
    parts = [to_events(source.shard(k), spec.schema_, spec.conditions) for k in shards]
    return spec, Events.concatenate(parts)


def mapped(recipe: str) -> tuple[RunConfig, DatasetSpec, FeatureMap, Events]:
    run = RunConfig.load(recipe, ("training.steps=1", "training.batch_size=4"))
    spec, events = drawn(run.dataset)
    return run, spec, run.features.build(spec.schema_, spec.conditions).fit([events]), events


@pytest.mark.parametrize("recipe", PAPERS)
def test_values(recipe: str) -> None:
    run = RunConfig.load(recipe).model_dump(mode="json")
    for key, value in (COMMON | VALUES[recipe]).items():
        assert look_up(run, key) == value, key


@pytest.mark.parametrize("recipe", [name for name in PAPERS if name.startswith("dc")])
def test_layers(recipe: str) -> None:
    run = RunConfig.load(recipe)
    pixels = 64 if "64" in recipe else 32
    for player in ("generator", "critic"):
        network = getattr(run.model, player)
        layers = [
            (layer.kernel, layer.stride, layer.padding, layer.normed) for layer in network.layers
        ]
        assert tuple(layers) == LAYERS[pixels][player]
        made = [pixels if player == "critic" else 1]
        for layer in network.layers:
            [made_of] = {*layer.size((made[-1], made[-1]), player == "generator")}
            made.append(made_of)
        assert tuple(made[1:]) == PIXELS[pixels][player]


def test_pixels_are_shares_of_the_largest_and_none_is_below_zero() -> None:
    run, _, feature_map, events = mapped("dcwgan-gp-showers-paper")
    batch = features_of(feature_map, events)
    largest = events.columns["image"].max()
    assert batch.x.max() == 1
    assert batch.x.min() == 0
    torch.testing.assert_close(batch.x[0], (events.columns["image"][0] / largest).flatten())
    model = run.build_model(feature_map).eval()
    assert isinstance(model, GAN)
    made = model.sample(5, batch.condition[:5], generator=torch.Generator().manual_seed(1))
    assert made.min() > 0
    assert made.max() < 1
    image = feature_map.decode(made - 0.5, events[:5]).columns["image"]
    assert image.min() == 0


def test_the_energy_is_seen_by_the_first_layers_of_the_conditional_vae() -> None:
    run, _, feature_map, _ = mapped("bcvae-showers-paper")
    model = run.build_model(feature_map)
    weights = model.state_dict()
    assert weights["autoencoder.encoder.net.0.0.weight"].shape == (512, 2 * 32 * 32 + 1)
    assert weights["autoencoder.decoder.net.0.0.weight"].shape == (256, 32 + 1)
    assert weights["autoencoder.encoder.net.1.0.weight"].shape == (256, 512)


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trains_and_makes_showers(recipe: str) -> None:
    run, spec, feature_map, events = mapped(recipe)
    model = run.build_model(feature_map)
    before = {name: value.clone() for name, value in model.named_parameters()}
    objective = run.objective.bind(Setting(spec.schema_, feature_map, {}, 1))
    loop = TrainingLoop(model, feature_map, objective, run.training, torch.device("cpu"))
    [progress] = loop.run(resident(features_of(feature_map, events), 4, 1), 1)
    assert progress.finite
    same = [name for name, value in model.named_parameters() if value.equal(before[name])]
    # A Wasserstein critic's last bias cancels in its loss.
    assert len(same) <= (run.objective.kind == "wgan-gp")
    made = loop.observed(events[:4], generator=torch.Generator().manual_seed(1))
    assert made.columns["image"].shape == (4, *spec.schema_.shapes["image"])
    assert made.columns["image"].min() >= 0
