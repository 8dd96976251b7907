import pytest
import torch

from mleg_ray.features.moments import Moments


def test_values_by_hand_whatever_the_cuts() -> None:
    # Mean (1·1 + 3·5 + 0·9) / 4 = 4, variance (1·9 + 3·1) / 4 = 3.
    moments = Moments()
    moments.add(torch.tensor([[1.0]]), torch.tensor([1.0]))
    moments.add(torch.tensor([[5.0], [9.0]]), torch.tensor([3.0, 0.0]))
    mean, std = moments.result()
    assert mean.item() == pytest.approx(4)
    assert std.item() == pytest.approx(3**0.5)


def test_rounding_is_no_spread() -> None:
    rng = torch.Generator().manual_seed(1)
    values = 100 * torch.rand(1, 50, generator=rng, dtype=torch.float64)
    moments = Moments()
    for n in (1003, 8000):
        moments.add(values.expand(n, 50), torch.rand(n, generator=rng, dtype=torch.float64))
    assert (moments.result()[1] == 1).all()
    near = Moments()  # what the seventh digit tells is a spread
    near.add(torch.tensor([[27.6], [27.600001]], dtype=torch.float64), torch.ones(2))
    assert near.result()[1].item() == pytest.approx(5e-7, rel=1e-6)
