"""Networks of objects: masks and pooling by value, and what no order of objects changes."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.sets import (
    SelfAttention,
    SetsConfig,
    SetsEncoder,
    masked_softmax,
    pooled,
    shared_out,
)
from mleg_ray.space import Part, Space
from tests.models.networks.spaces import IMAGE, JETS, NOISE, NUMBERS, OBJECTS, SCORE

BODIES = ["deep-sets", "attention"]
ORDER = [2, 0, 3, 1]  # of the jets


@pytest.fixture(params=BODIES)
def config(request: pytest.FixtureRequest) -> SetsConfig:
    torch.manual_seed(1)
    return SetsConfig(width=8, body=request.param, head=(8,))


def reordered(x: Tensor, space: Space, order: list[int]) -> Tensor:
    """Return vectors whose jets come in another order."""
    x = x.clone()
    jets = space.split(x)["jet"]
    jets.copy_(jets[:, order].clone())
    return x


class TestPooling:
    ROWS = torch.tensor([[[1.0, -2.0], [5.0, -4.0], [9.0, 9.0]], *[[[3.0, 3.0]] * 3] * 2])
    PRESENT = torch.tensor([[True, True, False], [False, False, False], [False, True, False]])

    @pytest.mark.parametrize(
        ("how", "expected"),
        [("sum", [6.0, -6.0]), ("mean", [3.0, -3.0]), ("max", [5.0, -2.0])],
    )
    def test_counts_what_is_present(self, how: str, expected: list[float]) -> None:
        assert pooled(self.ROWS, self.PRESENT, how).tolist() == [expected, [0.0, 0.0], [3.0, 3.0]]

    def test_attention_looks_at_what_is_present(self) -> None:
        scores = torch.log(torch.tensor([[1.0, 3.0, 100.0]]))
        weights = masked_softmax(scores, torch.tensor([[True, True, False]]))
        torch.testing.assert_close(weights, torch.tensor([[0.25, 0.75, 0.0]]))
        nothing = masked_softmax(scores, torch.tensor([[False] * 3]))
        torch.testing.assert_close(nothing, torch.full((1, 3), 1 / 3))

    def test_the_trunk_sees_shares_of_objects(self, config: SetsConfig) -> None:
        encoder = SetsEncoder(config, OBJECTS.of(["jet", "lepton"]), 0)
        views = {"jet": torch.randn(1, 4, 3), "lepton": torch.randn(1, 2, 5)}
        views["jet"][:, 1] = 0
        views["lepton"][:] = 0
        encoded = encoder(views, torch.zeros(1, 0))
        assert encoded.vector[0, 8:].tolist() == [0.75, 0.0]


class TestSelfAttention:
    def block(self) -> SelfAttention:
        return SelfAttention(SetsConfig(width=8, body="attention", heads=2), 0)

    def test_is_scaled_dot_product_attention(self) -> None:
        block, rows = self.block(), torch.randn(3 * 4, 8)
        seen = block.questions(functional.layer_norm(rows, (8,))).view(3, 4, 3, 2, 4)
        query, key, value = seen.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        after = rows + block.answers(mixed.transpose(1, 2).reshape(12, 8))
        made = block(rows, torch.ones(3, 4, dtype=torch.bool), torch.zeros(12, 0))
        torch.testing.assert_close(made, block.after(after, torch.zeros(12, 0)))

    def test_absent_rows_are_as_if_there_were_none(self) -> None:
        block, rows = self.block(), torch.randn(1, 4, 8)
        present = torch.tensor([[True, True, False, False]])
        made = block(rows[0], present, torch.zeros(4, 0))[:2]
        alone = block(rows[0, :2], present[:, :2], torch.zeros(2, 0))
        torch.testing.assert_close(made, alone)


class TestOrder:
    def test_of_seen_objects_does_not_matter(self, config: SetsConfig) -> None:
        network = config.build(OBJECTS, 1, SCORE)
        x, condition = torch.randn(5, OBJECTS.width), torch.randn(5, 1)
        OBJECTS.split(x)["jet"][:, 2:] = 0
        made = network(x, condition)
        torch.testing.assert_close(network(reordered(x, OBJECTS, ORDER), condition), made)
        swapped = reordered(x, OBJECTS, [0, 1, 2, 3])
        OBJECTS.split(swapped)["lepton"].copy_(OBJECTS.split(x)["lepton"].flip(1))
        torch.testing.assert_close(network(swapped, condition), made)

    def test_of_objects_seen_and_made_is_kept(self, config: SetsConfig) -> None:
        network = config.model_copy(update={"masked": False}).build(OBJECTS, 0, OBJECTS)
        x, nothing = torch.randn(5, OBJECTS.width), torch.zeros(5, 0)
        made = network(reordered(x, OBJECTS, ORDER), nothing)
        torch.testing.assert_close(made, reordered(network(x, nothing), OBJECTS, ORDER))

    def test_of_shared_out_noise_is_kept(self, config: SetsConfig) -> None:
        network = config.model_copy(update={"split_noise": True}).build(NOISE, 0, JETS)
        shares = shared_out(NOISE, JETS)
        assert {name: part.shape for name, part in shares.parts.items()} == {
            "jet": (4, 2),
            "rest": (1,),
        }
        x, nothing = torch.randn(5, 9), torch.zeros(5, 0)
        made = network(reordered(x, shares, ORDER), nothing)
        torch.testing.assert_close(made, reordered(network(x, nothing), JETS, ORDER))

    def test_of_made_objects_is_learned(self, config: SetsConfig) -> None:
        jets = JETS.split(config.build(NOISE, 0, JETS)(torch.randn(2, 9), torch.zeros(2, 0)))["jet"]
        assert not torch.isclose(jets[:, 0], jets[:, 1]).any()


class TestMask:
    def test_an_object_of_zeros_is_absent(self, config: SetsConfig) -> None:
        """It alters nothing but the share: two of four jets are not two of two."""
        few = Space({"jet": Part((2, 3))})
        x, nothing = torch.randn(3, 6), torch.zeros(3, 0)
        more = functional.pad(x, (0, 6))
        small, large = (SetsEncoder(config, space, 0) for space in (few, JETS))
        large.load_state_dict(small.state_dict())
        torch.testing.assert_close(
            large(JETS.split(more), nothing).vector[:, :8],
            small(few.split(x), nothing).vector[:, :8],
        )

    def test_what_is_made_of_present_objects_does_not_see_absent_ones(
        self, config: SetsConfig
    ) -> None:
        few = Space({"jet": Part((2, 3))})
        x, nothing = torch.randn(3, 6), torch.zeros(3, 0)
        small, large = (config.build(space, 0, space) for space in (few, JETS))
        large.load_state_dict(small.state_dict())
        with torch.no_grad():  # the trunk sees the share of objects, which alone may differ
            for network in (small, large):
                network.trunk[0][0].weight[:, 8] = 0
        made = JETS.split(large(functional.pad(x, (0, 6)), nothing))["jet"]
        torch.testing.assert_close(made[:, :2], few.split(small(x, nothing))["jet"])

    def test_absent_objects_activate_nothing(self, config: SetsConfig) -> None:
        network = config.build(JETS, 0, SCORE)
        x, nothing = torch.randn(3, 12), torch.zeros(3, 0)
        x[:, 3:6] = 0
        for layer in (1, 2, 3):  # the objects' rows, and those after both blocks
            rows = network.hidden(x, nothing, layer).reshape(3, 4, 8)
            assert rows.ne(0).any(dim=2).tolist() == [[True, False, True, True]] * 3

    def test_shared_out_noise_of_zeros_is_an_object_too(self, config: SetsConfig) -> None:
        network = config.model_copy(update={"split_noise": True}).build(NOISE, 0, JETS)
        views = shared_out(NOISE, JETS).split(torch.zeros(1, 9))
        assert network.encoder(views, torch.zeros(1, 1)).vector[0, 8] == 1

    def test_unmasked_it_is_an_object_like_others(self, config: SetsConfig) -> None:
        torch.manual_seed(2)
        masked = config.build(JETS, 0, SCORE)
        torch.manual_seed(2)
        unmasked = config.model_copy(update={"masked": False}).build(JETS, 0, SCORE)
        x, nothing = torch.randn(3, 12), torch.zeros(3, 0)
        torch.testing.assert_close(masked(x, nothing), unmasked(x, nothing))
        x[:, :3] = 0
        assert not torch.isclose(masked(x, nothing), unmasked(x, nothing)).any()

    def test_an_event_of_no_objects_is_judged(self, config: SetsConfig) -> None:
        x = torch.zeros(2, 12, requires_grad=True)
        score = config.build(JETS, 0, SCORE)(x, torch.zeros(2, 0))
        (slope,) = torch.autograd.grad(score.sum(), x)
        assert score.isfinite().all()
        assert not slope.any()


class TestRefused:
    def test_images(self) -> None:
        with pytest.raises(ConfigError, match=r"kind: 'sets' .*'cells' has shape .*'conv'"):
            SetsConfig().build(IMAGE, 0, SCORE)

    def test_numbers_alone(self) -> None:
        with pytest.raises(ConfigError, match="kind: 'sets' is for objects.*'mlp'"):
            SetsConfig().build(NUMBERS, 0, SCORE)

    def test_heads_that_do_not_share_a_width(self) -> None:
        with pytest.raises(ValidationError, match="heads: 3 heads cannot share a width of 8"):
            SetsConfig(width=8, heads=3, body="attention")

    def test_too_little_noise_to_split(self) -> None:
        with pytest.raises(ConfigError, match=r"split_noise: 3 numbers .* 4 objects"):
            SetsConfig(split_noise=True).build(Space.numbers(3), 0, JETS)

    def test_noise_to_split_for_a_critic(self) -> None:
        with pytest.raises(ConfigError, match=r"split_noise: .*leave it out"):
            SetsConfig(split_noise=True).build(JETS, 0, SCORE)
