"""A model made of models: its chain, its rows, and the configurations that are refused."""

from typing import Any

import pytest
import torch

from mleg_ray.config import parse
from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import MODELS, Spaces
from mleg_ray.models.parts import Parts, PartsConfig
from mleg_ray.objectives import OBJECTIVES
from mleg_ray.objectives.autoencoding import Variational
from mleg_ray.objectives.parts import counted
from mleg_ray.randomness import Noise
from mleg_ray.space import Part, Space
from tests.features.cases import jets
from tests.features.test_map import noise, of_jets
from tests.recipes import setting_of

FLOW = {"kind": "flow", "transforms": 1, "bins": 4, "hidden": [8]}
VAE = {
    "kind": "beta-vae",
    "latent_dim": 2,
    "encoder": {"widths": [8]},
    "decoder": {"widths": [8]},
}
FREE = {"model": FLOW}
PARTS = {
    "jet": {"given": ["counts", "event"], "model": VAE},
    "event": {"given": ["counts"], "model": FLOW},
    "counts": {"model": FLOW},
}
OBJECTIVE = {
    "kind": "parts",
    "parts": {
        "counts": {"kind": "likelihood"},
        "event": {"kind": "likelihood"},
        "jet": {"kind": "beta-vae", "beta": 0.1},
    },
}


@pytest.fixture(scope="module")
def feature_map() -> FeatureMap:
    return of_jets(parts={"counts": ["jet.level_count"]}).fit([jets(4000, 1)])


def config(**parts: Any) -> PartsConfig:
    return parse(PartsConfig, {"kind": "parts", "parts": parts or PARTS}, "model")


@pytest.fixture
def model(feature_map: FeatureMap) -> Parts:
    torch.manual_seed(1)
    return config().build(Spaces.of(feature_map)).eval()


@pytest.fixture(scope="module")
def batch(feature_map: FeatureMap) -> Batch:
    return feature_map.encode(jets(500, 2), noise=noise())


def test_players_are_those_of_all_parts(model: Parts) -> None:
    assert tuple(model.players()) == config().players
    assert set(model.players()) == {"counts-flow", "event-flow", "jet-autoencoder"}
    assert set(OBJECTIVES.parse(OBJECTIVE).traits.schedule) == set(model.players())
    held = [p for player in model.players().values() for p in player.parameters()]
    assert {id(p) for p in held} == {id(p) for p in model.parameters()}


def test_events_are_coupled_if_one_part_couples_them(feature_map: FeatureMap) -> None:
    term = {"column": "a", "weight": 1.0, "match": ["mean"]}
    coupled = {"kind": "regression", "to": {"kind": "beta-vae", "beta": 0.1}, "terms": [term]}
    both = {**OBJECTIVE, "parts": {**OBJECTIVE["parts"], "jet": coupled}}
    for wanted, couples in ((OBJECTIVE, False), (both, True)):
        objective = OBJECTIVES.parse(wanted).bind(setting_of(feature_map))
        assert objective.traits.couples_events == couples


def test_parts_are_made_one_after_the_other(model: Parts, batch: Batch) -> None:
    condition = batch.condition[:50]
    drawn = model.draw(50, generator=torch.Generator().manual_seed(1))
    assert drawn.shape == (50, model.noise_space.width) == (50, 1 + 1 + 3 * 2)
    made = model.decode(drawn, condition)
    split = model._space.where
    counts = model.model_of("counts").decode(drawn[:, :1], condition)
    torch.testing.assert_close(made[:, split["counts"]], counts)
    event = model.model_of("event").decode(drawn[:, 1:2], torch.cat([condition, counts], dim=1))
    torch.testing.assert_close(made[:, split["event"]], event)
    given = torch.cat([condition, counts, event], dim=1)
    for k in range(3):
        one = model.model_of("jet").decode(drawn[:, 2 + 2 * k : 4 + 2 * k], given)
        torch.testing.assert_close(made[:, split["jet"]].reshape(50, 3, 3)[:, k], one)


def test_what_is_drawn_has_the_layout_of_its_noise(model: Parts) -> None:
    drawn = model.draw(20_000, generator=torch.Generator().manual_seed(1))
    assert drawn.mean(dim=0).abs().max() < 0.05
    torch.testing.assert_close(drawn.std(dim=0), torch.ones(8), rtol=0.05, atol=0)


def test_rows_without_weight_are_left_out_of_means() -> None:
    """Weights 2, 0, 1, 0, of which 1/4 is (2a + c)/4: 1 and 1/2 of two rows are as much."""
    x = torch.tensor([[3.0], [100.0], [5.0], [100.0]])
    rows = counted(Batch(x, torch.zeros(4, 1), torch.tensor([2.0, 0, 1, 0])))
    assert rows.x.tolist() == [[3], [5]]
    assert rows.weight.tolist() == [1, 0.5]
    nothing = Batch(x, torch.zeros(4, 1), torch.zeros(4))
    assert len(counted(nothing)) == 4


def test_absent_objects_have_no_weight(model: Parts, feature_map: FeatureMap, batch: Batch) -> None:
    rows = model.batch_of("jet", batch, feature_map.shares_present(batch.x))
    present = feature_map.present(batch.x)["jet"]
    torch.testing.assert_close(present, jets(500, 2).present["jet"])
    weight = rows.weight.reshape(500, 3)
    assert not weight[~present].any()
    mean_number = jets(4000, 1).present["jet"].sum(dim=1).double().mean()
    torch.testing.assert_close(weight[present], torch.full((int(present.sum()),), 3 / mean_number))
    train = feature_map.encode(jets(4000, 1), noise=noise())
    shares = feature_map.shares_present(train.x)
    mean = model.batch_of("jet", train, shares).weight.mean()
    assert mean.item() == pytest.approx(1, rel=1e-5)


def test_rows_have_a_mean_weight_of_one_with_negative_weights_too(model: Parts) -> None:
    events = jets(2000, 1)
    full = events.present["jet"].all(dim=1)
    events = events.weighted(torch.where(full, -0.5, 1.0).double())
    fitted = of_jets(parts={"counts": ["jet.level_count"]}).fit([events])
    train = fitted.encode(events, noise=noise())
    weight = model.batch_of("jet", train, fitted.shares_present(train.x)).weight
    assert train.weight.mean().item() == pytest.approx(1, rel=1e-5)
    assert weight.mean().item() == pytest.approx(1, rel=1e-5)


def test_each_row_is_given_what_its_event_has(
    model: Parts, feature_map: FeatureMap, batch: Batch
) -> None:
    rows = model.batch_of("jet", batch, feature_map.shares_present(batch.x))
    parts = feature_map.space.split(batch.x)
    given = torch.cat([batch.condition, parts["counts"], parts["event"]], dim=1)
    for k in range(3):
        torch.testing.assert_close(rows.condition.reshape(500, 3, -1)[:, k], given)
        torch.testing.assert_close(rows.x.reshape(500, 3, -1)[:, k], parts["jet"][:, k])


def test_angles_are_given_without_a_seam(feature_map: FeatureMap, batch: Batch) -> None:
    chosen = {"jet": {"model": VAE}, "event": {"given": ["jet"], "model": FLOW}, "counts": FREE}
    model = config(**chosen).build(Spaces.of(feature_map))
    given = model.batch_of("event", batch, feature_map.shares_present(batch.x)).condition
    turn = feature_map.space.split(batch.x)["jet"][:, :, 1]  # after log pT, before the flavour
    assert feature_map.space.parts["jet"].circle == (1,)
    torch.testing.assert_close(
        given[:, 7:], torch.cat([(torch.pi * turn).cos(), (torch.pi * turn).sin()], 1)
    )
    made = model.decode(
        model.draw(20, generator=torch.Generator().manual_seed(1)), batch.condition[:20]
    )
    assert made.isfinite().all()


def test_a_parts_loss_is_that_of_its_own_rows(
    model: Parts, feature_map: FeatureMap, batch: Batch
) -> None:
    objective = OBJECTIVES.parse(OBJECTIVE).bind(setting_of(feature_map))

    def loss(chosen: Batch, player: str) -> float:
        draws = Noise(torch.device("cpu"))
        draws.seed(5)
        made = objective.loss(player, model, feature_map, chosen, noise=draws)
        assert all(name.startswith(player.partition("-")[0]) for name in made.parts)
        return made.value.item()

    rows = counted(model.batch_of("jet", batch, feature_map.shares_present(batch.x)))
    draws = Noise(torch.device("cpu"))
    draws.seed(5)
    jet = model.model_of("jet")
    code, kl = jet.code(rows.x, rows.condition, draws.normal(len(rows), 2))
    error = (jet.decode(code, rows.condition) - rows.x).square().sum(dim=1)
    expected = (rows.weight * (error + 0.1 * kl)).mean()
    assert loss(batch, "jet-autoencoder") == pytest.approx(expected.item(), rel=1e-6)
    # Whatever fills the places of absent objects, the loss is the same.
    other = batch.x.clone()
    where = feature_map.space.where["jet"]
    absent = ~feature_map.present(batch.x)["jet"].repeat_interleave(3, dim=1)
    other[:, where] = torch.where(absent, 7.0, other[:, where])
    moved = Batch(other, batch.condition, batch.weight)
    assert loss(moved, "jet-autoencoder") == pytest.approx(expected.item(), rel=1e-6)
    counts = model.model_of("counts").log_prob(
        batch.x[:, feature_map.space.where["counts"]], batch.condition
    )
    assert loss(batch, "counts-flow") == pytest.approx(-counts.mean().item(), rel=1e-6)


def test_state_survives_and_conditions_matter(
    model: Parts, feature_map: FeatureMap, batch: Batch
) -> None:
    torch.manual_seed(9)
    other = config().build(Spaces.of(feature_map)).eval()
    other.load_state_dict(model.state_dict())
    samples = [
        m.sample(500, c, generator=torch.Generator().manual_seed(1))
        for m, c in ((model, batch.condition), (other, batch.condition), (other, -batch.condition))
    ]
    assert torch.equal(samples[0], samples[1])
    assert not torch.equal(samples[1], samples[2])


class TestRefusals:
    def test_unknown_parts_are_named(self) -> None:
        with pytest.raises(ConfigError, match=r"parts\.jet\.given: there is no part 'muon'; those"):
            config(jet={"given": ["muon"], "model": VAE})

    def test_a_cycle_is_told(self) -> None:
        with pytest.raises(ConfigError, match="each is given the other: (a <- b <- a|b <- a <- b)"):
            config(a={"given": ["b"], "model": VAE}, b={"given": ["a"], "model": VAE})

    def test_parts_must_be_those_of_the_features(self, feature_map: FeatureMap) -> None:
        with pytest.raises(ConfigError, match="the features have the parts counts, event, jet; mo"):
            config(jet={"model": VAE}).build(Spaces.of(feature_map))

    def test_each_part_knows_its_whole_numbers(self, feature_map: FeatureMap) -> None:
        """Of one object, whose rows are alike; whether it is there no model of objects asks."""
        spaces = Spaces.of(feature_map)
        model = config(**PARTS).build(spaces)
        assert isinstance(model, Parts)
        assert [one.number for one in model.spaces["counts"].levels.values()] == [4]
        [(place, flavour)] = model.spaces["jet"].levels.items()
        assert feature_map.space.parts["jet"].names[place] == "jet.level_flavour"
        assert flavour == spaces.levels[feature_map.space.where["jet"].start + place]
        assert model.spaces["event"].levels == {}
        assert spaces.presence
        assert all(own.presence == {} for own in model.spaces.values())

    def test_a_name_that_no_module_can_have_is_told(self) -> None:
        space = Space({"values": Part((2,), ("a", "b"))})
        spaces = Spaces(space, Space.numbers(0), space)
        with pytest.raises(ConfigError, match=r"^parts: PyTorch has no place for .*'values'"):
            config(values={"model": FLOW}).build(spaces)

    def test_a_part_has_no_parts(self) -> None:
        nested = {"kind": "parts", "parts": {"jet": {"model": VAE}}}
        with pytest.raises(ConfigError, match=r"parts\.jet\.model: a part has no parts"):
            config(jet={"model": nested})

    def test_a_part_has_no_teacher(self) -> None:
        with pytest.raises(ConfigError, match=r"parts\.jet: a part's objective cannot have a tea"):
            parse(OBJECTIVES["parts"], {"parts": {"jet": {"kind": "distillation"}}}, "objective")


def test_kinds_are_registered(feature_map: FeatureMap) -> None:
    assert MODELS["parts"] is PartsConfig
    objective = OBJECTIVES.parse(OBJECTIVE).bind(setting_of(feature_map))
    assert isinstance(objective.parts["jet"], Variational)
