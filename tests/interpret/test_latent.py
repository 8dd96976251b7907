"""Hidden layers by closed forms, and the same properties for every GAN and both players."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.config import parse
from mleg_ray.errors import CheckpointError, ConfigError
from mleg_ray.events import Events, EventSchema, Field
from mleg_ray.interpret import latent as interpreted
from mleg_ray.interpret.events import FEW, known_conditions
from mleg_ray.interpret.latent import (
    CLUSTER,
    LatentSpec,
    activations,
    clustered,
    embedded,
    latent,
    principal_plane,
    purity,
    separation,
    write_clusters,
)
from mleg_ray.models import MODELS
from mleg_ray.models.gan import AdversariesConfig
from mleg_ray.run import RunConfig
from tests.checkpoints import diverged_checkpoint, small_checkpoint
from tests.dis_events import momenta
from tests.prepared import prepared_dataset
from tests.recipes import SMALL, features_of, training_events

GANS = [name for name in SMALL if isinstance(RunConfig.load(name).model, AdversariesConfig)]


def spec(**values: object) -> LatentSpec:
    small = {"player": "critic", "layer": 1, "events": 120, "perplexity": 10.0, "min_samples": 5}
    return parse(LatentSpec, {**small, **values}, "latent")


def players_of(recipe: str) -> tuple[str, ...]:
    return RunConfig.load(recipe).model.players


def blobs(n: int, distance: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Three normal clouds in five dimensions, whose middles are `distance` apart, and which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    points = rng.standard_normal((n, 5))
    points[np.arange(n), labels] += distance / np.sqrt(2)
    return points, labels.astype(float)


def test_every_gan_is_among_the_recipes() -> None:
    kinds = {kind for kind, config in MODELS.items() if issubclass(config, AdversariesConfig)}
    assert {RunConfig.load(name).model.kind for name in GANS} == kinds


def test_the_principal_plane_is_that_of_the_covariance() -> None:
    rng = np.random.default_rng(2)
    scales = np.array([3.0, 2.0, 1.0, 0.5])
    turn, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    points = rng.standard_normal((50_000, 4)) * scales @ turn.T + 7
    [plane], explained = principal_plane(points)
    assert plane.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert plane.std(axis=0) == pytest.approx(scales[:2], rel=0.02)
    assert explained == pytest.approx(scales[:2] ** 2 / (scales**2).sum(), rel=0.03)
    assert np.corrcoef(plane.T)[0, 1] == pytest.approx(0, abs=1e-9)
    along = (points - 7) @ turn[:, 0]
    assert abs(np.corrcoef(plane[:, 0], along)[0, 1]) > 0.999


def test_other_points_are_projected_on_the_same_components() -> None:
    """About (5, 5) the first four spread by 8 along x, by 2 along y: these are the components."""
    points = np.array([[7.0, 5], [3, 5], [5, 6], [5, 4]])
    (plane, other), explained = principal_plane(points, np.array([[6.0, 9], [5, 5]]))
    assert plane == pytest.approx(points - 5)
    assert other == pytest.approx(np.array([[1.0, 4], [0, 0]]))
    assert explained == pytest.approx((0.8, 0.2))


def test_t_sne_is_asked_for_what_the_spec_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Heard:
        def __init__(self, **settings: object) -> None:
            asked.append(settings)

        def fit_transform(self, points: np.ndarray) -> np.ndarray:
            return points[:, :2]

    monkeypatch.setattr(interpreted, "TSNE", Heard)
    embedded(np.zeros((5, 3)), spec())
    embedded(np.zeros((5, 3)), spec(learning_rate=200.0, iterations=5000, perplexity=7.0))
    told = [(s["learning_rate"], s["max_iter"], s["perplexity"]) for s in asked]
    assert told == [("auto", 1000, 10.0), (200.0, 5000, 7.0)]


def test_neighbours_tell_clouds_as_far_as_they_are_apart() -> None:
    """Far clouds are told always, equal ones as often as the likeliest label."""
    asked = spec(events=3000, neighbours=15)
    far, near, none = (separation(*blobs(3000, d), asked) for d in (20.0, 2.0, 0.0))
    assert far.value == 1
    assert far.verdict == "large"
    assert 0.6 < near.value < 0.85
    assert none.floor == pytest.approx(1 / 3, abs=0.03)
    assert none.significance < 3


def test_the_likeliest_label_is_what_chance_tells() -> None:
    points, _ = blobs(40, 0.0)
    found = separation(points, (np.arange(40) % 4 == 0).astype(float), spec(neighbours=5))
    assert found.floor == 0.75
    assert found.floor_spread == pytest.approx(np.sqrt(0.75 * 0.25 / 40))


def test_two_clouds_are_told_as_well_as_the_best_rule_could() -> None:
    """Normal clouds 2 apart on a line: the best rule errs with Φ(-1) = 15.87%."""
    rng = np.random.default_rng(3)
    labels = np.arange(4000) % 2.0
    points = rng.standard_normal((4000, 1)) + 2 * labels[:, None]
    found = separation(points, labels, spec(events=4000, neighbours=200))
    assert found.value == pytest.approx(0.8413, abs=3 * found.uncertainty + 0.005)


def test_purity_counts_what_is_in_clusters_against_shuffled_labels() -> None:
    rng = np.random.default_rng(1)
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2.0])
    found = purity(np.array([0, 0, 0, 0, 1, 1, 1, -1]), labels, rng)
    assert found.value == pytest.approx((3 + 2) / 7)
    assert found.events == 7
    many = np.repeat([0.0, 1.0], 500)
    assert purity(np.arange(1000) // 500, many, rng).value == 1
    mixed = purity(np.arange(1000) % 2, many, rng)
    assert mixed.value == 0.5
    assert mixed.significance < 3
    assert mixed.floor == pytest.approx(0.5, abs=0.02)
    pairs = purity(np.arange(1000) // 2, rng.permutation(many), rng)
    assert pairs.floor == pytest.approx(0.75, abs=0.02)  # two events of a cluster agree by chance
    assert pairs.verdict == "at the floor"
    assert purity(np.full(8, -1), labels, rng).value == 0


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    return {
        name: small_checkpoint(folder / name, recipe=name)
        for name in (*GANS, "flow-dis", "bvae-dis")
    }


@pytest.mark.parametrize(
    ("recipe", "player"), [(name, player) for name in GANS for player in players_of(name)]
)
def test_every_gans_layers_can_be_read(
    checkpoints: dict[str, Checkpoint], recipe: str, player: str
) -> None:
    checkpoint, events = checkpoints[recipe], training_events(50)
    seen = [activations(checkpoint, events, spec(player=player, layer=k)) for k in (1, 2)]
    again = activations(checkpoint, events, spec(player=player, layer=2))
    assert np.array_equal(again.layer, seen[1].layer)
    assert not np.array_equal(seen[0].layer, seen[1].layer)
    assert all(part.layer.shape == (50, 16) for part in seen)
    assert torch.equal(momenta(seen[0].events), momenta(seen[1].events))
    beams = (part.columns["beam_energy"] for part in (seen[0].events, events))
    assert torch.equal(*beams)
    assert torch.equal(momenta(seen[0].events), momenta(events)) == (player != "generator")
    # The output is linear in the last hidden layer: what it makes of it is what the player says.
    network = checkpoint.model.players()[player]
    last = network.net[-1](torch.from_numpy(seen[1].layer).float())
    if player == "generator":
        features = torch.from_numpy(seen[1].features).float()
        straight = list(checkpoint.feature_map.space.line)
        torch.testing.assert_close(last[:, straight], features[:, straight])
    else:
        features = features_of(checkpoint.feature_map, events)
        view = checkpoint.feature_map.view(features.x, features.condition)
        torch.testing.assert_close(last, network(view, features.condition))
    with pytest.raises(CheckpointError, match=f"'{player}' has --layer 1 to 2, not 3"):
        activations(checkpoint, events, spec(player=player, layer=3))


def test_residual_layers_are_layers(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path, "model.critic.residual=true")
    seen = activations(checkpoint, training_events(20), spec(layer=2))
    assert seen.layer.shape == (20, 16)


def test_a_layer_of_one_unit_has_no_plane(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path, "model.critic.widths=[16, 1]")
    with pytest.raises(CheckpointError, match="layer 2 of 'critic' is 1 wide, .* another --layer"):
        activations(checkpoint, training_events(20), spec(layer=2))


@pytest.mark.parametrize(("recipe", "known"), [("flow-dis", "flow"), ("bvae-dis", "autoencoder")])
def test_a_model_without_the_player_names_those_it_has(
    checkpoints: dict[str, Checkpoint], recipe: str, known: str
) -> None:
    with pytest.raises(CheckpointError, match=f"no player 'critic'.* has --player {known}"):
        activations(checkpoints[recipe], training_events(10), spec())


def test_a_player_of_another_make_is_refused_with_those_that_can_be_read(
    checkpoints: dict[str, Checkpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = checkpoints["fatgan-quick"]
    players = {**checkpoint.model.players(), "critic": torch.nn.Linear(3, 1)}
    monkeypatch.setattr(checkpoint.model, "players", lambda: players)
    with pytest.raises(CheckpointError, match=r"'critic' has no hidden.*that have: generator$"):
        activations(checkpoint, training_events(10), spec())


def test_a_diverged_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="of 'generator' makes is not finite"):
        activations(diverged_checkpoint(tmp_path), training_events(10), spec(player="generator"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"player": "flow"}, "player: Input should be 'generator', 'critic' or 'embedding'"),
        ({"layer": 0}, "layer"),
        ({"events": 300, "perplexity": 100.0}, "events must be more than 300: 3 x perplexity"),
        ({"eps": 0}, "eps"),
        ({"min_samples": 0}, "min_samples"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"iterations": 249}, "iterations"),
    ],
)
def test_impossible_values_are_named(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec(**values)


def test_clusters_are_found_described_and_written_back(tmp_path: Path) -> None:
    """Three far clouds in the layer are three pure clusters, and a dataset of as many shards."""
    dataset = prepared_dataset(tmp_path / "data", 120)
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    events = dataset.load("validation")
    asked = spec(eps=4.0)
    seen = activations(checkpoint, events, asked)
    clouds, label = blobs(120, 40.0)
    seen = replace(seen, layer=clouds)
    labels = {"channel": torch.from_numpy(label)}
    result = latent(checkpoint, seen, labels, asked, dataset="")
    assert latent(checkpoint, seen, labels, asked, dataset="") == result
    assert [cluster.number for cluster in result.clusters] == [0, 1, 2]
    assert [cluster.purity["channel"] for cluster in result.clusters] == [1, 1, 1]
    assert {cluster.majority["channel"] for cluster in result.clusters} == {0, 1, 2}
    assert result.purity["channel"].value == 1
    spaces = result.separation["channel"]
    assert spaces["layer"].value == spaces["t-sne"].value == 1
    assert spaces["features"].significance < 4  # the electrons know nothing of the clouds
    unlabelled = latent(checkpoint, seen, {}, asked, dataset="")
    assert unlabelled.purity == unlabelled.separation == {}
    assert unlabelled.tsne == result.tsne

    written = write_clusters(unlabelled, seen.events, {}, dataset, str(tmp_path / "clusters"))
    assert written.schema.labels == ("cluster",)
    assert written.rows("validation") == 120
    assert len(written.shards()) == 3
    for number, shard in enumerate(written.shards()):
        part = Dataset(written.uri, written.manifest.model_copy(update={"shards": (shard,)}))
        events_there = part.load()
        assert (events_there.columns["cluster"] == number).all()
        rows = torch.tensor(result.cluster) == number
        expected = momenta(events[rows])
        torch.testing.assert_close(momenta(events_there), expected, rtol=1e-6, atol=1e-6)
    described = written.manifest.provenance["latent"]
    assert [cluster["number"] for cluster in described["clusters"]] == [0, 1, 2]
    assert "tsne" not in described


@pytest.mark.parametrize("recipe", ["fatgan-quick", "fatgan-mmd-gan"])
def test_a_critic_sees_what_is_generated_as_it_sees_true_events(
    checkpoints: dict[str, Checkpoint], recipe: str
) -> None:
    """Generated events that are encoded again are seen as they were, up to single precision."""
    checkpoint, events = checkpoints[recipe], training_events(50)
    asked = spec(player=players_of(recipe)[-1], layer=2)
    made = activations(checkpoint, events, asked, generated=True)
    assert not torch.equal(momenta(made.events), momenta(events))
    assert torch.equal(made.events.columns["beam_energy"], events.columns["beam_energy"])
    again = activations(checkpoint, made.events, asked)
    assert again.layer == pytest.approx(made.layer, rel=1e-3, abs=1e-3)


def test_true_and_generated_events_are_told_apart_where_they_differ(tmp_path: Path) -> None:
    checkpoint, asked = small_checkpoint(tmp_path), spec(iterations=250)
    seen = activations(checkpoint, training_events(120), asked)
    rng = np.random.default_rng(4)
    clouds = [rng.standard_normal((120, 5)) for _ in range(3)]
    seen = replace(seen, features=clouds[0], input=clouds[0], layer=clouds[0])
    like = replace(seen, features=clouds[1], input=clouds[1], layer=clouds[1])
    made = replace(like, layer=clouds[2] + 40.0)
    result = latent(checkpoint, seen, {}, asked, dataset="", generated=made)
    told = result.told_apart
    assert set(told) == {"features", "input", "layer", "pca"}
    assert told["layer"].value == told["pca"].value == 1
    assert told["layer"].floor == 0.5
    assert told["features"].significance < 4
    assert np.array(result.generated).shape == (120, 2)
    alone = latent(checkpoint, seen, {}, asked, dataset="")
    assert (alone.generated, alone.told_apart) == ((), {})
    assert alone.pca == result.pca


def test_the_largest_clusters_are_told_with_their_channels(tmp_path: Path) -> None:
    """Clouds of 60, 40 and 20 events; one in four of the second has another channel."""
    checkpoint, asked = small_checkpoint(tmp_path), spec(eps=8.0)
    seen = activations(checkpoint, training_events(120), asked)
    cloud = np.repeat([0, 1, 2], [20, 60, 40])
    rng = np.random.default_rng(5)
    layer = rng.standard_normal((120, 3)) + 40.0 * np.eye(3)[cloud]
    channel = np.where(np.arange(120) >= 110, 7.0, cloud + 0.0)
    labels = {"channel": torch.from_numpy(channel)}
    result = latent(checkpoint, replace(seen, layer=layer), labels, asked, dataset="")
    largest = [(c.events, c.majority["channel"], c.purity["channel"]) for c in result.largest]
    assert largest == [(60, 1.0, 1.0), (40, 2.0, 0.75), (20, 0.0, 1.0)]


def test_conditions_of_few_values_group_events() -> None:
    names = {"one": 1, "two": 2, "few": FEW, "many": FEW + 1}
    conditions = [Field(name=name, role="condition") for name in names]
    rows = torch.arange(500, dtype=torch.float64)
    columns = {"x": rows} | {name: rows % values for name, values in names.items()}
    events = Events(columns, {}, torch.ones(500))
    found = known_conditions(EventSchema([Field(name="x"), *conditions]), events)
    assert list(found) == ["two", "few"]
    assert torch.equal(found["two"], rows % 2)


@pytest.mark.parametrize("player", ["generator", "critic"])
def test_a_condition_is_told_and_stays_one_column(tmp_path: Path, player: str) -> None:
    """The network is given the beam energy; noise and the critic's input know nothing of it."""
    dataset = prepared_dataset(tmp_path / "data", 300, beams=(10.0, 30.0, 50.0))
    checkpoint = small_checkpoint(tmp_path / "checkpoint", conditional=True)
    events = dataset.load("validation")
    labels = known_conditions(dataset.schema, events)
    asked = spec(player=player, events=300)
    seen = activations(checkpoint, events, asked)
    result = latent(checkpoint, seen, labels, asked, dataset="")
    told = result.separation["beam_energy"]
    assert told["input"].significance < 4 < told["layer"].significance
    assert set(result.clusters[0].majority) == {"beam_energy"}
    written = write_clusters(result, seen.events, labels, dataset, str(tmp_path / "clusters"))
    assert written.schema.fields == (*dataset.schema.fields, CLUSTER)
    beams = (part.columns["beam_energy"] for part in (written.load(), events))
    assert torch.equal(*(values.sort().values for values in beams))


def test_a_dataset_that_has_clusters_is_refused(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "data", 20)
    fields = (*dataset.manifest.fields, CLUSTER)
    again = Dataset("again", dataset.manifest.model_copy(update={"fields": fields}))
    assert clustered(again, ()).labels == ("cluster",)  # made events do not have that label
    with pytest.raises(ConfigError, match="again: has a field 'cluster'.*rename it"):
        clustered(again, ("cluster",))
