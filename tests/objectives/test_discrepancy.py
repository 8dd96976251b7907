"""MMD² against the closed form for Gaussians, and its treatment of weights."""

import torch

from mleg_ray.objectives.discrepancy import mmd2


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
