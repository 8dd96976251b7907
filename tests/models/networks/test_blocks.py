"""The blocks of networks, by value."""

import pytest
import torch
from torch import nn

from mleg_ray.models.networks.blocks import Chain, FiLM, Residual, side_by_side


class TestFiLM:
    @pytest.fixture
    def film(self) -> FiLM:
        """Two channels under one condition c: γ = 1 + (2c + 0.5, -c), β = (3c, 1)."""
        film = FiLM(1, 2)
        with torch.no_grad():
            film.linear.weight.copy_(torch.tensor([[2.0], [-1.0], [3.0], [0.0]]))
            film.linear.bias.copy_(torch.tensor([0.5, 0.0, 0.0, 1.0]))
        return film

    def test_scales_and_shifts_each_channel(self, film: FiLM) -> None:
        made = film(torch.tensor([[10.0, 20.0], [10.0, 20.0]]), torch.tensor([[1.0], [0.0]]))
        torch.testing.assert_close(made, torch.tensor([[38.0, 1.0], [15.0, 21.0]]))

    def test_takes_all_pixels_of_a_channel_alike(self, film: FiLM) -> None:
        maps = torch.arange(12.0).view(1, 2, 2, 3)
        made = film(maps, torch.tensor([[1.0]]))
        torch.testing.assert_close(made[:, 0], 3.5 * maps[:, 0] + 3)
        torch.testing.assert_close(made[:, 1], 0 * maps[:, 1] + 1)

    def test_starts_as_the_identity(self) -> None:
        x = torch.randn(5, 4)
        assert torch.equal(FiLM(3, 4)(x, torch.randn(5, 3)), x)


def test_a_chain_tells_conditions_to_what_is_modulated() -> None:
    film = FiLM(1, 1)
    nn.init.ones_(film.linear.weight)  # h -> (1 + c) h + c
    chain = Chain(nn.LeakyReLU(0.5), Residual(Chain(film)))
    made = chain(torch.tensor([[-2.0], [2.0]]), torch.tensor([[3.0], [3.0]]))
    torch.testing.assert_close(made, torch.tensor([[-1 - 4 + 3.0], [2 + 8 + 3.0]]))


def test_a_single_part_is_not_copied() -> None:
    x = torch.ones(2, 3)
    assert side_by_side(x) is x
    assert side_by_side(x, torch.zeros(2, 1)).tolist() == [[1, 1, 1, 0]] * 2
