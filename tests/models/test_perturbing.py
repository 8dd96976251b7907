"""An α-VAE of features and conditions together, by hand, and parts that perturb one event."""

from math import log
from typing import Any

import pytest
import torch

from mleg_ray.config import parse
from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import MODELS, Spaces
from mleg_ray.models.parts import Parts, PartsConfig, replaced
from mleg_ray.models.vae import JointAlphaVAE
from mleg_ray.objectives import OBJECTIVES
from mleg_ray.randomness import Noise
from mleg_ray.space import Part, Space
from tests.features.cases import jets
from tests.features.test_map import noise, of_jets

NETWORKS = {"encoder": {"widths": [8]}, "decoder": {"widths": [8]}}
KEPT = 40


def perturbing(kind: str, events: int = KEPT) -> dict[str, Any]:
    small = {"alpha": 0.1, "latent_dim": 2, "reference_events": events}
    return {"kind": kind, **small, **NETWORKS}


def joint(rows: int = 1) -> JointAlphaVAE:
    """Two features, given a number and a bit."""
    torch.manual_seed(1)
    given = Space({"met": Part((1,)), "place": Part((1,), classes=((0,),))})
    features = Space({"jet": Part((2,))})
    config = MODELS.parse(perturbing("joint-alpha-vae", events=3))
    model = config.build(Spaces(features, given, features, rows=rows)).eval()
    assert isinstance(model, JointAlphaVAE)
    return model


class TestJointAlphaVAE:
    def test_it_encodes_what_is_kept_under_what_is_given(self) -> None:
        """A code 10·(given, kept) + α ε of a decoder that doubles its first numbers."""
        model = joint()
        seen: list[list[float]] = []

        def encoder(x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            assert condition.shape == (1, 0)
            seen.extend(x.tolist())
            return 10 * x[:, 2:]

        def decoder(code: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return torch.cat([0 * code, 2 * code], dim=1)

        model.autoencoder.forward = None  # neither is called but by its name
        model.autoencoder._modules = {"encoder": encoder, "decoder": decoder}
        drawn = torch.tensor([[3.0, 4.0, 0.5, -1.0]])  # two features that are kept, ε
        made = model.decode(drawn, torch.tensor([[7.0, 1.0]]))
        assert seen == [[7, 1, 3, 4]]
        assert made[0].tolist() == pytest.approx([2 * (30 + 0.1 * 0.5), 2 * (40 - 0.1)])

    def test_it_draws_rows_as_they_are_kept_whatever_their_conditions_were(self) -> None:
        model = joint(rows=2)
        kept = torch.arange(8.0).reshape(4, 2)  # two events of two rows; the first is kept again
        model.remember(kept, torch.randn(4, 2))
        assert model.kept == 6
        assert model.reference.tolist() == [*kept.tolist(), *kept[:2].tolist()]
        rows = torch.tensor([3, 4])
        drawn = model.draw_of(rows, generator=torch.Generator().manual_seed(1))
        assert drawn[:, :2].tolist() == [[6, 7], [0, 1]]
        many = model.draw(5000, generator=torch.Generator().manual_seed(1))
        assert many[:, 2:].std(dim=0).tolist() == pytest.approx([1, 1], abs=0.05)
        assert set(many[:, 0].tolist()) == {0, 2, 4, 6}

    def test_its_loss_counts_conditions_too(self) -> None:
        """MSE of features 1 and 3, of a number 2; cross-entropy of a bit: 5/2 + 4 + log 4."""
        model = joint()
        decoded = torch.tensor([[2.0, -log(3), 1.0, 2.0]])
        model.decoded = lambda code, condition: decoded
        batch = Batch(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.ones(1))
        draws = Noise(torch.device("cpu"))
        draws.seed(1)
        objective = OBJECTIVES.parse({"kind": "alpha-vae", "reconstruction": "mean"})
        loss = objective.loss("autoencoder", model, None, batch, noise=draws)
        assert loss.value.item() == pytest.approx((1 + 4) / 2 + 4 + log(4))
        assert loss.made.tolist() == [[1, 2]]

    def test_state_survives_and_conditions_matter(self) -> None:
        model, other = joint(), joint()
        model.remember(torch.randn(3, 2), torch.randn(3, 2))
        other.load_state_dict(model.state_dict())
        given = torch.randn(20, 2)
        samples = [
            one.sample(20, condition, generator=torch.Generator().manual_seed(1))
            for one, condition in ((model, given), (other, given), (other, -given))
        ]
        assert samples[0].shape == (20, 2)
        assert torch.equal(samples[0], samples[1])
        assert not torch.equal(samples[1], samples[2])


EVENT = {"beside": ["counts"], "model": perturbing("alpha-vae")}
JET = {"given": ["event", "place"], "model": perturbing("joint-alpha-vae")}


@pytest.fixture(scope="module")
def feature_map() -> FeatureMap:
    return of_jets(parts={"counts": ["jet.level_count"]}).fit([jets(4000, 1)])


def built(feature_map: FeatureMap, **parts: Any) -> Parts:
    torch.manual_seed(1)
    chosen = {"kind": "parts", "parts": {"event": EVENT, "jet": JET, **parts}}
    return parse(PartsConfig, chosen, "model").build(Spaces.of(feature_map)).eval()


class TestParts:
    def test_all_models_draw_of_one_event(self, feature_map: FeatureMap) -> None:
        """Kept are, of event i, the numbers i and the objects i, i + 100 and i + 200."""
        model = built(feature_map)
        x = torch.arange(KEPT).float()[:, None].repeat(1, feature_map.space.width)
        places = 100 * torch.arange(3.0).repeat_interleave(3)
        x[:, feature_map.space.where["jet"]] += places
        there = {"jet": torch.ones(KEPT, 3).bool()}
        model.remember(x, torch.zeros(KEPT, 1), there)
        event = model.model_of("event")
        assert event.reference[:, 0].tolist() == list(range(KEPT))
        event.encode = lambda features, condition: 1000 * features[:, :2]
        drawn = model.draw(200, generator=torch.Generator().manual_seed(1))
        numbers = (drawn[:, 0] / 1000).round()
        assert len(set(numbers.tolist())) > KEPT / 2
        for place in range(3):
            one = drawn[:, 2 + 5 * place : 2 + 5 * (place + 1)]  # three features and two of noise
            assert torch.equal(one[:, :3], (numbers + 100 * place)[:, None].expand(200, 3))

    def test_objects_know_what_is_made_and_their_place(self, feature_map: FeatureMap) -> None:
        model = built(feature_map)
        batch = feature_map.encode(jets(50, 2), noise=noise())
        rows = model.batch_of("jet", batch, feature_map.shares_present(batch.x))
        event = batch.x[:, feature_map.space.where["event"]]
        given = rows.condition.reshape(50, 3, -1)
        for place, bits in enumerate(([1.0, 0, 0], [1, 1, 0], [1, 1, 1])):
            torch.testing.assert_close(given[:, place, 1:-3], event)
            assert given[:, place, -3:].tolist() == [bits] * 50
        space = model.spaces["jet"].condition
        assert {name: part.classes for name, part in space.parts.items()} == {
            "condition": (),
            "event": (),
            "place": ((0,), (1,), (2,)),
        }
        model.remember(batch.x, batch.condition, feature_map.present(batch.x))
        drawn = model.draw(20, generator=torch.Generator().manual_seed(1))
        made = feature_map.space.flat(model.decode(drawn, torch.zeros(20, 1)))
        given = made["event"][:1].expand(1, -1)
        third = drawn[:1, -5:]
        seen = torch.cat([torch.zeros(1, 1), given, torch.ones(1, 3)], dim=1)
        torch.testing.assert_close(made["jet"][:1, -3:], model.model_of("jet").decode(third, seen))

    def test_no_object_that_is_kept_is_noise(self, feature_map: FeatureMap) -> None:
        model = built(feature_map)
        batch = feature_map.encode(jets(KEPT, 2), noise=noise())
        there = feature_map.present(batch.x)["jet"]
        assert not there.all()
        model.remember(batch.x, batch.condition, {"jet": there})
        true = batch.x[:, feature_map.space.where["jet"]].reshape(KEPT, 3, 3)
        kept = model.model_of("jet").reference.reshape(KEPT, 3, 3)
        for place in range(3):
            known = {tuple(row) for row in true[there[:, place], place].tolist()}
            assert {tuple(row) for row in kept[:, place].tolist()} == known

    def test_a_model_makes_several_parts(self, feature_map: FeatureMap) -> None:
        model = built(feature_map)
        batch = feature_map.encode(jets(50, 2), noise=noise())
        parts = feature_map.space.flat(batch.x)
        together = torch.cat([parts["event"], parts["counts"]], dim=1)
        assert torch.equal(model.batch_of("event", batch, {}).x, together)
        assert list(model.spaces["event"].features.parts) == ["event", "counts"]
        code = torch.randn(50, 2)
        made = model.model_of("event").decode(code, torch.zeros(50, 1))
        drawn = torch.cat([code, torch.zeros(50, 15)], dim=1)
        found = feature_map.space.flat(model.decode(drawn, torch.zeros(50, 1)))
        assert torch.equal(torch.cat([found["event"], found["counts"]], dim=1), made)
        # That a level of a count tells of a jet is not asked of one; of its own part it is known.
        levels = model.spaces["event"].levels
        assert list(levels) == [parts["event"].shape[1]]

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            (
                {"event": {**EVENT, "model": perturbing("alpha-vae", 5)}},
                r"keep as many, and these 5 \(event\), 40 \(jet\)",
            ),
            ({"event": {**EVENT, "given": ["place"]}}, r"event.given: only objects have a 'place'"),
            (
                {
                    "jet": {**JET, "given": [], "beside": ["counts"]},
                    "event": {**EVENT, "beside": []},
                },
                "jet.beside: parts of objects and images have models of their own",
            ),
            ({"event": {**EVENT, "beside": []}}, "the features have the parts counts, event, jet"),
            ({"place": EVENT}, "parts.place: that is what an object is given"),
            ({"event": {**EVENT, "given": ["counts"]}}, "each is given the other: event <- event"),
        ],
    )
    def test_what_is_refused(
        self, feature_map: FeatureMap, parts: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            built(feature_map, **parts)


def test_absent_objects_are_replaced_by_those_of_their_place() -> None:
    """Second places: 12 stands in for what is absent. No third is there: all take their turn."""
    rows = torch.tensor([[1.0, -1, -1], [11, 12, -1], [-1, -1, -1], [31, -1, -1]])[:, :, None]
    there = rows[:, :, 0] > 0
    expected = [[1, 12, 1], [11, 12, 11], [1, 12, 12], [31, 12, 31]]
    assert replaced(rows, there)[:, :, 0].tolist() == expected
    none = torch.zeros(4, 3).bool()
    assert torch.equal(replaced(rows, none), rows)
