"""MMD² against the closed form for Gaussians, and its treatment of weights."""

import math

import pytest
import torch

from mleg_ray.objectives.discrepancy import mmd2, sliced_wasserstein2


def normal(n: int, mean: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return mean + torch.randn(n, 1, generator=generator, dtype=torch.float64)


def test_closed_form_of_two_unit_gaussians() -> None:
    # E k over N(a,1) x N(b,1) = sqrt(σ²/(σ²+2)) exp(-(a-b)²/2(σ²+2)).
    sigma, shift = 1.5, 1.0
    scale = (sigma**2 / (sigma**2 + 2)) ** 0.5
    expected = 2 * scale * (1 - torch.tensor(-(shift**2) / (2 * (sigma**2 + 2))).exp())
    ones = torch.ones(4000, dtype=torch.float64)
    actual = mmd2(normal(4000, 0, 1), normal(4000, shift, 2), ones, ones, [sigma])
    torch.testing.assert_close(actual, expected.double(), rtol=0.1, atol=0)


def test_unbiased_around_zero_for_equal_distributions() -> None:
    ones = torch.ones(200, dtype=torch.float64)
    values = [
        mmd2(normal(200, 0, 2 * i), normal(200, 0, 2 * i + 1), ones, ones, [1.0]) for i in range(40)
    ]
    mean, error = torch.stack(values).mean(), torch.stack(values).std() / 40**0.5
    assert abs(mean) < 4 * error


def test_a_weight_of_two_stands_for_two_events_between_samples() -> None:
    x, y = normal(300, 0, 1), normal(300, 1, 2)
    one, two = torch.ones(300, dtype=torch.float64), torch.full((300,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(mmd2(x, y, one, one, [1.0]), mmd2(x, y, two, two, [1.0]))
    kept = torch.cat([torch.ones(150), torch.zeros(150)]).double()
    torch.testing.assert_close(
        mmd2(x, y, kept, kept, [1.0]), mmd2(x[:150], y[:150], one[:150], one[:150], [1.0])
    )


def test_two_points_each_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]]).double()
    y = torch.tensor([[0.0, 1.0], [0.0, 0.0]]).double()
    u, v = torch.tensor([1.0, 3.0]).double(), torch.tensor([2.0, 0.5]).double()

    def k(squared_distance: float) -> float:
        return math.exp(-squared_distance / 2) + math.exp(-squared_distance / 18)  # σ = 1 and 3

    # Within a sample one pair is left; between them are four, whose weights sum to 4 · 2.5.
    between = (1 * 2 * k(1) + 1 * 0.5 * k(0) + 3 * 2 * k(9 + 9) + 3 * 0.5 * k(25)) / 10
    found = mmd2(x, y, u, v, [1.0, 3.0])
    assert found.item() == pytest.approx(k(25) + k(1) - 2 * between)


def test_sliced_distance_of_two_points_each_by_hand() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]]).double()
    y = torch.tensor([[1.0, 3.0], [2.0, 1.0]]).double()
    directions = torch.tensor([[1.0, 0.0], [0.0, 5.0], [-3.0, 4.0]]).double()
    # Along these 0, 3 meet 1, 2; 0, 4 meet 1, 3; and 0, 7/5 meet -2/5, 9/5, each in order.
    expected = (1 + 1 + 1 + 1 + (2 / 5) ** 2 + (2 / 5) ** 2) / 6
    found = sliced_wasserstein2(x, y, torch.ones(2).double(), directions)
    assert found.item() == pytest.approx(expected)
    # Weights of 2, -1 and 2 first sum to 3 at the last point: the first has two of three quantiles.
    x, y = torch.tensor([[0.0], [1], [2]]).double(), torch.tensor([[0.0], [10], [20]]).double()
    weight, along = torch.tensor([2.0, -1, 2]).double(), torch.ones(1, 1).double()
    assert sliced_wasserstein2(x, y, weight, along).item() == pytest.approx((0 + 1 + 18**2) / 3)
