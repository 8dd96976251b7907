"""Surfaces of losses by closed forms, and the same properties for every family and player."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.config import parse
from mleg_ray.errors import CheckpointError, ConfigError, DataError
from mleg_ray.interpret.events import SPLIT, own_dataset, random_events
from mleg_ray.interpret.landscape import (
    LandscapeSpec,
    Spread,
    filter_normalised,
    landscape,
    nonconvex_share,
    roughness,
    surfaces,
)
from mleg_ray.run import RunConfig
from tests.checkpoints import small_checkpoint
from tests.dis_events import momenta
from tests.prepared import prepared_dataset
from tests.recipes import SMALL, training_events

AXIS = np.linspace(-1, 1, 21)
A, B = np.meshgrid(AXIS, AXIS, indexing="ij")


def spec(**values: object) -> LandscapeSpec:
    return parse(LandscapeSpec, {"player": "critic", "grid": 5, "pairs": 2, **values}, "landscape")


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("layer", [nn.Linear(7, 5), nn.Conv2d(3, 4, 3)])
def test_a_direction_has_the_filters_own_norms_and_leaves_biases(layer):
    weight, bias = filter_normalised(layer, numbers(1))
    assert torch.allclose(
        weight.flatten(1).norm(dim=1), layer.weight.detach().flatten(1).norm(dim=1)
    )
    assert not bias.any()
    assert not torch.allclose(weight, filter_normalised(layer, numbers(2))[0])


def test_a_row_of_zeros_does_not_move():
    layer = nn.Linear(3, 2)
    layer.weight.data[0] = 0
    direction, _ = filter_normalised(layer, numbers(1))
    assert not direction[0].any()
    assert direction[1].any()


def test_a_quadratic_loss_is_a_parabola_of_known_curvature():
    player = nn.Linear(6, 4, bias=False)
    before = player.weight.detach().clone()
    norm2 = float(before.square().sum())
    asked = spec(grid=9, reach=0.5)
    found = surfaces(player, lambda: player.weight.square().sum().item(), asked)
    assert torch.equal(player.weight, before)
    assert found.shape == (2, 9, 9)
    assert found[:, 4, 4] == pytest.approx([norm2] * 2, rel=1e-6)
    # |θ + a d + b e|² with |d| = |e| = |θ|: the second derivative is 2|θ|² along a and along b.
    step = 0.5 / 4
    for axis in (1, 2):
        assert np.diff(found, 2, axis=axis) / step**2 == pytest.approx(2 * norm2, rel=1e-3)
    # And 2 d·e between them, which is small of two independent directions.
    mixed = np.diff(np.diff(found[:, ::8, ::8], axis=1), axis=2)
    assert (np.abs(mixed) < norm2).all()
    assert not np.allclose(found[0], found[1])


def test_a_spread_is_a_mean_and_its_standard_error() -> None:
    found = Spread.of([1.0, 2.0, 6.0])
    assert found.value == 3
    assert found.uncertainty == pytest.approx(math.sqrt((4 + 1 + 9) / 2 / 3))


def test_roughness_is_that_of_bowls():
    bowl = A**2 + B**2
    assert roughness(bowl) == pytest.approx(1)
    assert roughness(7 - 3 * bowl) == pytest.approx(1)
    assert roughness(2 * A - B) == pytest.approx(0, abs=1e-12)
    fine = np.linspace(-1, 1, 201)
    # |(cos k a)''| = k² |cos k a|, of mean 2/π; along b nothing bends; the span is 2.
    k = 4 * np.pi
    wavy = np.cos(k * fine)[:, None] * np.ones(201)
    assert roughness(wavy) == pytest.approx(k**2 * (2 / np.pi) / 2 / 2, rel=0.02)
    kink = np.abs(fine)[:, None] * np.ones(201)  # 2 at one point of a length of 2, one direction
    assert roughness(kink) == pytest.approx(0.5, rel=0.02)


def test_what_bends_down_is_not_convex():
    assert nonconvex_share(A**2 + B**2) == 0
    assert nonconvex_share(A + 2 * B) == 0
    assert nonconvex_share(A**2 - B**2) == 1
    assert nonconvex_share(A * B) == 1  # bends down along the diagonal alone
    # Of a² + b² + c a b the smallest eigenvalue is 2 - |c|.
    assert nonconvex_share(A**2 + B**2 + 1.5 * A * B) == 0
    assert nonconvex_share(A**2 + B**2 - 2.5 * A * B) == 1
    assert nonconvex_share(A**3 + B**2) == pytest.approx(9 / 19)
    assert nonconvex_share(np.zeros((5, 5))) == 0


def players() -> list[tuple[str, str]]:
    return [
        (recipe, player)
        for recipe in SMALL
        # Their teachers are detectors'; they add no other kinds of players.
        if not recipe.startswith("unfold")
        for player in RunConfig.load(recipe).objective.traits.schedule
    ]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Checkpoint]:
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    made = {name: small_checkpoint(folder / name, recipe=name) for name in SMALL}
    student = small_checkpoint(folder / "s", recipe="student-dis", teacher=made["flow-dis"])
    return made | {"student-dis": student}


@pytest.mark.parametrize(("recipe", "player"), players())
def test_every_players_surface_is_the_same_again(checkpoints, recipe, player):
    checkpoint, events = checkpoints[recipe], training_events(100)
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    found = landscape(checkpoint, events, spec(player=player, reach=0.5))
    assert all(torch.equal(v, before[name]) for name, v in checkpoint.model.state_dict().items())
    values = np.array(found.surfaces)
    assert values.shape == (2, 5, 5)
    assert np.ptp(values) > 0
    assert (values[:, 2, 2] == found.loss).all()
    assert 0 <= found.nonconvex_share.value <= 1
    assert landscape(checkpoint, events, spec(player=player, reach=0.5)) == found
    other = landscape(checkpoint, events, spec(player=player, reach=0.5, seed=2))
    assert other.surfaces != found.surfaces


def test_progress_ends_at_the_last_point(checkpoints):
    heard: list[int] = []
    landscape(checkpoints["fatgan-quick"], training_events(50), spec(), heard.append)
    assert heard[-1] == 2 * 5 * 5


def test_a_player_that_is_not_there_is_answered_with_those_there_are(checkpoints):
    with pytest.raises(CheckpointError, match="no player 'critic'.*'flow' has --player flow"):
        landscape(checkpoints["flow-dis"], training_events(10), spec())


def test_an_overflowing_loss_asks_for_a_smaller_reach(checkpoints):
    with pytest.raises(CheckpointError, match="take a smaller --reach"):
        landscape(checkpoints["fatgan-quick"], training_events(10), spec(reach=1e30))


def test_a_flat_loss_asks_for_a_larger_reach(checkpoints, tmp_path):
    with pytest.raises(CheckpointError, match="'critic' is flat.*take a larger --reach"):
        landscape(checkpoints["fatgan-quick"], training_events(50), spec(reach=1e-6))
    dead = small_checkpoint(tmp_path)
    for parameter in dead.model.players()["critic"].parameters():
        parameter.data.zero_()
    with pytest.raises(CheckpointError, match="the network is dead"):
        landscape(dead, training_events(50), spec())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grid": 3}, "grid"),
        ({"grid": 6}, "must be odd"),
        ({"pairs": 1}, "pairs"),
        ({"reach": 0}, "reach"),
        ({"events": 0}, "events"),
    ],
)
def test_impossible_values_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        spec(**values)


def test_events_are_of_the_validation_split_of_the_own_dataset(tmp_path):
    dataset = prepared_dataset(tmp_path / "datasets" / "dis-ep-50", 100, beams=(20.0, 50.0))
    events = random_events(dataset, SPLIT, 60, seed=1)
    known = dataset.load("validation")
    rows = (momenta(events)[:, None] == momenta(known)[None]).all(dim=2)
    assert (rows.sum(dim=1) == 1).all()
    assert (rows.sum(dim=0) <= 1).all()
    assert set(events.columns["beam_energy"].tolist()) == {20.0, 50.0}
    assert torch.equal(momenta(random_events(dataset, SPLIT, 60, seed=1)), momenta(events))
    with pytest.raises(DataError, match="100 validation events, not 101; lower --events"):
        random_events(dataset, SPLIT, 101, seed=1)
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(DataError, match="not the dataset that .* was trained on"):
        own_dataset(checkpoint, str(tmp_path))
    described = checkpoint.card.dataset.model_copy(update={"dataset_digest": dataset.digest})
    checkpoint.card = checkpoint.card.model_copy(update={"dataset": described})
    assert own_dataset(checkpoint, str(tmp_path)).uri == dataset.uri
    with pytest.raises(DataError, match="no dataset 'dis-ep-50'"):
        own_dataset(checkpoint, str(tmp_path / "elsewhere"))
