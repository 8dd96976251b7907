"""Halved images: by hand, as a density that sums to one, sampled as the density tells."""

import math

import pytest
import torch
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.models.base import Spaces
from mleg_ray.models.halving import BlockNetwork, Halving, HalvingConfig, halvings, summed
from mleg_ray.models.networks.mlp import MLPConfig
from mleg_ray.space import Part, Space

NARROW = MLPConfig(widths=(8,))


def model(*shape: int, conditions: int = 1, weights: float = 0.0) -> Halving:
    """Return the model of images of a shape; all `weights` are zero, or drawn so wide."""
    features = Space({"image": Part(shape, ("image",), shares=True)})
    made = HalvingConfig(network=NARROW, components=2).build(
        Spaces(features, Space.numbers(conditions), features)
    )
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(weights * torch.randn(parameter.shape, generator=rng))
    return made


def condition(n: int) -> Tensor:
    return torch.full((n, 1), 0.3)


class TestHalvings:
    def test_cells_are_put_together_along_the_longer_side_and_layers_last(self) -> None:
        assert [one.halves for one in halvings((2, 4, 2))] == [
            (2, 1, 1),
            (2, 1, 2),
            (2, 2, 2),
            (2, 4, 2),
        ]
        assert [one.axis for one in halvings((2, 4, 2))] == [0, 2, 1, 1]

    def test_sums_of_an_odd_number_leave_the_last_alone(self) -> None:
        image = torch.arange(5.0).view(1, 5, 1, 1)
        assert summed(image, (3, 1, 1)).flatten().tolist() == [1.0, 5.0, 4.0]
        assert summed(image, (1, 1, 1)).item() == 10.0

    def test_sums_run_over_blocks(self) -> None:
        image = torch.arange(8.0).view(1, 1, 2, 4)
        assert summed(image, (1, 2, 2)).flatten().tolist() == [1.0, 5.0, 9.0, 13.0]
        assert summed(image, (1, 1, 2)).flatten().tolist() == [10.0, 18.0]


class TestDensity:
    def test_without_weights_outcomes_are_equally_likely_and_shares_even(self) -> None:
        # A logistic number's share f has the density 1, so of f = 1/4 that of `both` is left.
        images = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]])
        found = model(1, 1, 2).log_prob(images, condition(3))
        torch.testing.assert_close(found, torch.full((3,), -math.log(3)))

    def test_a_block_of_less_energy_has_more_density_of_shares(self) -> None:
        # 1/3 for both columns, then in the first, of 1/4, both rows: 1/3 and 1/(1/4), and in the
        # second the first row alone.
        image = torch.tensor([[0.1, 0.75, 0.15, 0.0]])
        found = model(1, 2, 2).log_prob(image, condition(1))
        assert found.item() == pytest.approx(3 * math.log(1 / 3) + math.log(4), abs=1e-5)

    def test_a_last_block_that_is_alone_keeps_all(self) -> None:
        # Of three layers the first two are halves, the third is alone: one choice of three.
        found = model(3, 1, 1).log_prob(torch.tensor([[0.0, 0.0, 1.0]]), condition(1))
        assert found.item() == pytest.approx(math.log(1 / 3), abs=1e-6)

    def test_it_sums_to_one(self) -> None:
        made = model(1, 1, 2, weights=0.3).double()
        logit = torch.linspace(-30, 30, 6001).double()
        shares = torch.stack([logit.sigmoid(), (-logit).sigmoid()], dim=1)
        density = made.log_prob(shares, condition(len(logit)).double()).exp()
        both = (density * shares.prod(dim=1)).sum() * 0.01
        one = made.log_prob(torch.eye(2).double(), condition(2).double()).exp().sum()
        assert 0.02 < both < 0.98
        assert (both + one).item() == pytest.approx(1.0, abs=1e-4)

    def test_samples_are_as_the_density_tells(self) -> None:
        made = model(1, 1, 2, weights=0.3)
        n = 20_000
        images = made.sample(n, condition(n), generator=torch.Generator().manual_seed(2))
        p = made.log_prob(torch.eye(2), condition(2)).exp()
        found = (images == 1).float().mean(dim=0)
        assert torch.allclose(found, p, atol=4 * 0.5 / math.sqrt(n))
        share = torch.linspace(0, 1, n + 2)[1:-1]
        density = made.log_prob(torch.stack([share, 1 - share], 1), condition(n)).exp()
        below = density.cumsum(0) / density.sum()
        hit = images[(images > 0).all(dim=1), 0]
        for quantile in (0.1, 0.5, 0.9):
            expected = share[torch.searchsorted(below, quantile)]
            assert (hit < expected).float().mean().item() == pytest.approx(quantile, abs=0.02)

    def test_what_networks_are_told_matters(self) -> None:
        # With weights, one number in a block changes the density of what is halved beside it.
        made = model(2, 2, 2, weights=0.5)
        image = torch.tensor([[0.1, 0.2, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1]])
        for at, other in ((0.3, image), (0.6, image)):
            assert made.log_prob(other, torch.full((1, 1), at)).isfinite().all()
        found = [made.log_prob(image, torch.full((1, 1), at)).item() for at in (0.3, 0.6)]
        assert abs(found[0] - found[1]) > 1e-3


class TestWhatNetworksAreTold:
    def recorded(self, made: Halving) -> list[Tensor]:
        """Return a list in which each network will put what it is told, one after the other."""
        told: list[Tensor] = []
        for one in made.flow:
            assert isinstance(one, BlockNetwork)
            one.network.register_forward_pre_hook(lambda _, given: told.append(given[0]))
        return told

    def test_blocks_around_and_halves_of_the_layer_before(self) -> None:
        made = model(2, 2, 1)
        told = self.recorded(made)
        image = [0.1, 0.3, 0.0, 0.6]  # two rows of the first layer, two of the second
        made.log_prob(torch.tensor([image]), condition(1))
        first, second, third = (math.log1p(x / 1e-6) / 5 for x in (0.1, 0.3, 0.6))
        both = math.log1p(0.4 / 1e-6) / 5
        # All; then the first layer, with the second behind it; then the second, for which a window
        # of four rows and three columns has the halves of the first.
        expected = [torch.zeros(39) for _ in range(3)]
        expected[0][13] = math.log1p(1e6) / 5
        expected[1][13], expected[1][22] = both, third
        expected[2][13], expected[2][4] = third, both
        expected[2][27 + 4], expected[2][27 + 7] = first, second
        found = [numbers[0, :39] for numbers in told]
        torch.testing.assert_close(torch.stack(found), torch.stack(expected))

    @pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 5)])
    def test_it_is_the_same_when_images_are_made(self, shape: tuple[int, int, int]) -> None:
        made = model(*shape, weights=0.3)
        told = self.recorded(made)
        images = made.sample(50, condition(50), generator=torch.Generator().manual_seed(4))
        made.log_prob(images, condition(50))
        half = len(told) // 2
        for making, judging in zip(told[:half], told[half:], strict=True):
            torch.testing.assert_close(making, judging, rtol=1e-3, atol=1e-3)


class TestImages:
    @pytest.mark.parametrize("shape", [(2, 4, 4), (3, 5, 2), (1, 8, 16)])
    def test_shares_sum_to_one_and_are_sparse(self, shape: tuple[int, int, int]) -> None:
        made = model(*shape, weights=0.3)
        images = made.sample(200, condition(200), generator=torch.Generator().manual_seed(3))
        assert images.shape == (200, math.prod(shape))
        torch.testing.assert_close(images.sum(dim=1), torch.ones(200))
        assert (images >= 0).all()
        assert 0.01 < (images > 0).float().mean() < 0.9
        assert made.log_prob(images, condition(200)).isfinite().all()

    def test_an_image_that_is_no_shares_is_refused(self) -> None:
        features = Space({"image": Part((1, 2, 2), ("image",))})
        with pytest.raises(ConfigError, match="'shares' makes one"):
            HalvingConfig(network=NARROW).build(Spaces(features, Space.numbers(1), features))
