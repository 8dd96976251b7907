import pytest
import torch

from mleg_ray.features import quantiles
from mleg_ray.features.quantiles import Quantiles


def test_values_by_hand() -> None:
    """Weights of 1, 3 and 4: half of each number's own lies below it, 1/16, 5/16 and 12/16."""
    own = Quantiles()
    own.add(torch.tensor([9.0, 5.0, -3.0]), torch.tensor([4.0, 3.0, 0.0]))
    own.add(torch.tensor([1.0]), torch.tensor([1.0]))
    assert own.count == 3
    shares = torch.tensor([0, 1 / 16, 3 / 16, 5 / 16, 12 / 16, 1]).double()
    assert own.at(shares).tolist() == pytest.approx([1, 1, 3, 5, 9, 9])


def test_mean_excess_by_hand() -> None:
    own = Quantiles()
    own.add(torch.tensor([1.0, 4.0, 8.0]), torch.tensor([1.0, 1.0, 3.0]))
    assert own.mean_excess(torch.tensor(2.0), 1).item() == pytest.approx((2 + 3 * 6) / 4)
    assert own.mean_excess(torch.tensor(5.0), -1).item() == pytest.approx((4 + 1) / 2)


def test_condensing_keeps_the_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiles, "MOST", 4000)
    monkeypatch.setattr(quantiles, "CONDENSED", 1000)
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(20_000, generator=rng).double()
    own, whole = Quantiles(), Quantiles()
    for part in x.split(1500):
        own.add(part, torch.ones(len(part)))
    monkeypatch.setattr(quantiles, "MOST", 10**6)
    whole.add(x, torch.ones(len(x)))
    assert (own.count, whole.count) == (20_000, 20_000)
    assert len(own._values) <= 5500
    shares = torch.linspace(0.01, 0.99, 99).double()
    torch.testing.assert_close(own.at(shares), whole.at(shares), rtol=0, atol=3e-3)
    assert own._weights.sum().item() == pytest.approx(20_000)
    edge = torch.tensor(0.9).double()
    assert own.mean_excess(edge, 1).item() == pytest.approx(0.05, rel=0.05)
