"""The contract of every registered model, built from the shipped recipes."""

import pytest
import torch

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError
from mleg_ray.models import MODELS, Model
from mleg_ray.models.gan import GAN
from mleg_ray.run import RunConfig
from mleg_ray.space import Space
from tests.models.spaces import spaces
from tests.recipes import SMALL, small_run

CONDITIONS = [0, 1]


@pytest.fixture(params=sorted(SMALL))
def recipe(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=CONDITIONS)
def model(recipe: str, request: pytest.FixtureRequest) -> Model:
    torch.manual_seed(0)
    model = small_run(recipe).model.build(spaces(3, request.param, 7, (2,)))
    model.remember(torch.randn(500, 3), torch.randn(500, request.param))
    return model.eval()


def sample(model: Model, n: int, n_conditions: int, seed: int) -> torch.Tensor:
    condition = torch.zeros(n, n_conditions)
    with torch.no_grad():
        return model.sample(n, condition, generator=torch.Generator().manual_seed(seed))


def test_every_registered_kind_has_a_recipe() -> None:
    # Of conditions too, of others, of objects or images, or one of these, in tests of their own.
    own = {"halving", "joint-alpha-vae", "parts", "sequence", "table"}
    assert {small_run(recipe).model.kind for recipe in SMALL} == set(MODELS) - own


class TestContract:
    @pytest.fixture(autouse=True)
    def _width(self, request: pytest.FixtureRequest) -> None:
        self.c = request.node.callspec.params["model"]

    def test_samples_have_the_features_shape_and_are_finite(self, model: Model) -> None:
        features = sample(model, 37, self.c, 1)
        assert features.shape == (37, 3)
        assert features.dtype == torch.float32
        assert features.isfinite().all()

    def test_same_seed_same_sample_other_seed_another(self, model: Model) -> None:
        assert torch.equal(sample(model, 50, self.c, 1), sample(model, 50, self.c, 1))
        assert not torch.equal(sample(model, 50, self.c, 1), sample(model, 50, self.c, 2))

    def test_players_hold_every_weight_once(self, model: Model) -> None:
        held = [p for player in model.players().values() for p in player.parameters()]
        assert len(held) == len({id(p) for p in held})
        assert {id(p) for p in held} == {id(p) for p in model.parameters()}

    def test_weights_survive_a_state_dict(self, recipe: str, model: Model) -> None:
        torch.manual_seed(99)
        other = small_run(recipe).model.build(spaces(3, self.c, 7, (2,))).eval()
        other.load_state_dict(model.state_dict())
        assert torch.equal(sample(other, 20, self.c, 3), sample(model, 20, self.c, 3))


def test_condition_changes_the_sample(recipe: str) -> None:
    torch.manual_seed(0)
    model = small_run(recipe).model.build(spaces(3, 1, 7, (2,))).eval()
    model.remember(torch.randn(500, 3), torch.randn(500, 1))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        shifted = model.sample(50, torch.ones(50, 1), generator=generator)
    assert not torch.equal(shifted, sample(model, 50, 1, 1))


@pytest.mark.parametrize("kind", ["fatgan-quick", "fatgan-mmd-gan"])
@pytest.mark.parametrize("conditional", [True, False])
def test_a_critic_sees_conditions_only_if_it_is_conditional(kind: str, conditional: bool) -> None:
    setting = f"model.conditional_critic={str(conditional).lower()}"
    model = small_run(kind, setting).model.build(spaces(3, 1, 7, (2,))).eval()
    seen = torch.randn(5, 7)
    here, there = (model.critic(seen, torch.full((5, 1), value)) for value in (0.0, 1.0))
    assert torch.equal(here, there) is not conditional


def test_a_generator_without_noise_maps_each_condition_to_one_event() -> None:
    model = small_run("fatgan-quick", "model.noise_dim=0").model.build(spaces(3, 1, 7))
    condition = torch.tensor([[0.0], [1.0], [0.0]])
    made = model.sample(3, condition, generator=torch.Generator().manual_seed(1))
    assert torch.equal(made[0], made[2])
    assert not torch.equal(made[0], made[1])


class TestNoiseHarmonics:
    def test_the_generator_turns_them(self) -> None:
        """A generator that turns by nothing leaves the circle as even as the noise is."""
        model = small_run("fatgan-clas").model.build(spaces(3, 0, 7, (1,)))
        assert isinstance(model, GAN)
        assert str(model.noise_space) == "4 numbers and 1 angles"
        with torch.no_grad():
            last = list(model.generator.parameters())[-2:]
            for parameter in last:
                parameter.zero_()
        noise = model.draw(100, generator=torch.Generator().manual_seed(1))
        features = model.decode(noise, torch.zeros(100, 0))
        torch.testing.assert_close(features[:, 1], noise[:, 4])
        assert not features[:, [0, 2]].any()
        with torch.no_grad():
            last[1][1] = 0.7  # half turns: some leave the circle, and come back
        turned = model.decode(noise, torch.zeros(100, 0))[:, 1]
        assert turned.abs().max() <= 1
        torch.testing.assert_close((turned - noise[:, 4]).remainder(2), torch.full((100,), 0.7))

    def test_are_drawn_evenly_beside_what_is_generated(self) -> None:
        """The generator makes two of three features, of four numbers; the angle is the noise's."""
        small = ("model.noise_harmonics=[]", "model.even_angles=true")
        model = small_run("fatgan-clas", *small).model.build(spaces(3, 0, 7, (1,)))
        assert isinstance(model, GAN)
        noise = model.draw(1000, generator=torch.Generator().manual_seed(1))
        assert noise.shape == (1000, 5)
        features = model.decode(noise, torch.zeros(1000, 0))
        torch.testing.assert_close(features[:, 1], noise[:, 4])
        made = model.generator(noise[:, :4], torch.zeros(1000, 0))
        torch.testing.assert_close(features[:, [0, 2]], made)
        quarters = torch.histc(features[:, 1], 4, -1, 1)  # 250 each, a spread of √(1000 3/16) = 14
        assert (quarters - 250).abs().max() < 60

    def test_are_not_both_drawn_and_turned(self) -> None:
        with pytest.raises(ConfigError, match=r"^even_angles: nothing turns them"):
            small_run("fatgan-clas", "model.even_angles=true").model.build(spaces(3, 0, 7, (1,)))

    def test_need_a_feature_that_is_one(self) -> None:
        with pytest.raises(ConfigError, match=r"^even_angles: no feature"):
            small = ("model.noise_harmonics=[]", "model.even_angles=true")
            small_run("fatgan-clas", *small).model.build(spaces(3, 0, 7))
        with pytest.raises(ConfigError, match=r"^noise_harmonics: no feature"):
            small_run("fatgan-clas").model.build(spaces(3, 0, 7))

    def test_are_noise_enough(self) -> None:
        config = small_run("fatgan-clas", "model.noise_dim=0").model
        model = config.build(spaces(3, 0, 7, (2,)))
        assert sample(model, 10, 0, 1).unique(dim=0).shape == (10, 3)


def test_residual_layers_add_their_input() -> None:
    run = small_run("fatgan-quick", "model.generator.residual=true")
    net = run.model.generator.build(Space.numbers(4), 0, Space.numbers(3)).net
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "block" in name:
                parameter.zero_()
    hidden = net[0](torch.randn(5, 4))
    torch.testing.assert_close(net[1](hidden), hidden)


def test_error_names_the_network() -> None:
    """Among many networks, the one whose kind does not suit its part."""
    spec = DatasetSpec.load("toy-jets")
    conv = 'model.parts.jet.model.encoder={kind="conv", channels=[4], kernel=3}'
    run = RunConfig.load("parts-toy-jets", (conv,))
    feature_map = run.features.build(spec.schema_, spec.conditions)
    with pytest.raises(ConfigError, match=r"^model\.parts\.jet\.model\.encoder\.kind: 'conv'"):
        run.build_model(feature_map)
