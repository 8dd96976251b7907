"""Recipes of sparse images, with small networks: what they generate of hits is what they learn."""

import math

import pytest
import torch

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import Batch, Events
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model, generate
from mleg_ray.objectives import Setting
from mleg_ray.physics import images
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import resident
from mleg_ray.training.loop import TrainingLoop

QUICK = ("training.steps=100", "training.batch_size=64")
HALVING = (
    "model.parts.folded_share_image.model.network.widths=[16]",
    "model.parts.event.model.hidden=[8]",
    "model.parts.event.model.bins=4",
    "training.optimisers.folded_share_image-flow.learning_rate=1e-2",
)
FIELD = (
    "model.network.widths=[32]",
    "model.ode_steps=2",
    "training.optimisers.field.learning_rate=1e-2",
)


def showers(n: int) -> Events:
    """Return showers of two cells, side by side in the middle of both layers, beside the axis."""
    rng = torch.Generator().manual_seed(1)
    energy = 100 + 100 * torch.rand(n, generator=rng).double()
    image = torch.zeros(n, 2, 32, 32)
    share = 0.3 + 0.2 * torch.rand(n, generator=rng)
    image[:, 0, 17, 18], image[:, 1, 17, 18] = share, 0.9 - share
    image = image * 0.5 * energy[:, None, None, None]
    return Events({"image": image.float(), "energy": energy}, {}, torch.ones(n).double())


def signals(n: int) -> Events:
    """Return signals of a track of two amplitudes, where the angles and positions are."""
    rng = torch.Generator().manual_seed(1)
    image = torch.zeros(n, 8, 16)
    image[:, 3, 7] = 10 + torch.rand(n, generator=rng)
    names = ("crossing_angle", "dip_angle", "drift_length", "pad_coordinate", "pad_row", "pt")
    given = {name: 30 * torch.rand(n, generator=rng).double() for name in names}
    return Events({"image": image, **given}, {}, torch.ones(n).double())


def trained(recipe: str, dataset: str, events: Events, *small: str) -> tuple[Model, FeatureMap]:
    run = RunConfig.load(recipe, (*QUICK, *small))
    schema = DatasetSpec.load(dataset).schema_
    feature_map = run.features.build(schema, {}).fit([events])
    batch: Batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    objective = run.objective.bind(Setting(schema, feature_map, {}, 1))
    model = run.build_model(feature_map)
    loop = TrainingLoop(model, feature_map, objective, run.training, torch.device("cpu"))
    for progress in loop.run(resident(batch, run.training.batch_size, 1), 100):
        assert progress.finite
    return loop.model.eval(), feature_map


@pytest.fixture(scope="module")
def made() -> tuple[Model, FeatureMap]:
    return trained("hits-showers-narrow", "showers-narrow", showers(500), *HALVING)


class TestShowers:
    def test_what_is_the_same_in_all_showers_is_learned(
        self, made: tuple[Model, FeatureMap]
    ) -> None:
        some = generate(*made, showers(400), generator=torch.Generator().manual_seed(2))
        image = some.columns["image"]
        # The two cells, by the eight symmetries, of which each is drawn.
        total = image.sum().item()
        where = image[:, :, (17, 18, 14, 13, 17, 18, 14, 13), (18, 17, 13, 14, 13, 14, 18, 17)]
        assert where.sum().item() > 0.7 * total
        assert image[:, :, 14:18, 14:18].sum().item() < 0.3 * total
        share = where.sum(dim=(0, 1)) / where.sum()
        assert share.min() > 0.05

    def test_totals_are_those_of_the_flow(self, made: tuple[Model, FeatureMap]) -> None:
        given = showers(200)
        some = generate(*made, given, generator=torch.Generator().manual_seed(3))
        response = images.total(some.columns["image"]) / given.columns["energy"]
        assert 0.35 < response.median() < 0.55
        assert ((some.columns["image"] == 0) | (some.columns["image"] > 1e-3)).all()


@pytest.mark.parametrize(
    ("recipe", "noise"),
    # One number for each block that is halved: one of two layers, 1 + 2 + 3 + 5 of ten, n² - 1 of
    # each layer of n x n cells. One for the total, and one for the side.
    [
        ("hits-showers-narrow-quick", 1 + 2 * 1023 + 2),
        ("hits-showers-narrow-64", 1 + 2 * 4095 + 2),
        ("hits-showers-layers", 1 + 2 + 3 + 5 + 10 * 255 + 2),
        ("hits-showers-oblique", 1 + 2 * 1023 + 1),
    ],
)
def test_each_block_has_noise_of_its_own(recipe: str, noise: int) -> None:
    run = RunConfig.load(recipe)
    schema = DatasetSpec.load(run.dataset).schema_
    model = run.build_model(run.features.build(schema, {}))
    assert model.noise_space.width == noise


def test_signals_lie_above_the_threshold_and_where_they_are_learned() -> None:
    made = trained("flow-matching-tpc", "tpc", signals(500), *FIELD)
    some = generate(*made, signals(300), generator=torch.Generator().manual_seed(2))
    image = some.columns["image"]
    assert ((image == 0) | (image >= 0.9 * (1 - 1e-6))).all()
    assert math.isfinite(image.sum().item())
    assert (image[:, 3, 7] > 0).float().mean() > 1.2 * (image[:, 0, 0] > 0).float().mean()
