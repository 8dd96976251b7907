"""Numbers of an event's objects, by hand."""

import math

import pytest
import torch

from mleg_ray.physics import objects

PT = torch.tensor([[50.0, 30.0, 20.0], [40.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
PHI = torch.tensor([[0.0, math.pi / 2, math.pi], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).double()
FLAVOUR = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=torch.int8)


def test_sums_and_numbers():
    assert objects.total(PT).tolist() == [100, 40, 0]
    assert objects.number(PT).tolist() == [3, 1, 0]
    assert objects.total(FLAVOUR).tolist() == [2, 0, 0]
    assert objects.total(FLAVOUR).dtype == objects.number(PT).dtype == torch.float64
    assert objects.total(PT.float()).dtype == torch.float32


def test_how_many_are_above_a_threshold():
    threshold = torch.tensor(20.0)  # as an expression gives a number; exactly at it is not above
    assert objects.above(PT, threshold).tolist() == [2, 1, 0]
    assert objects.above(PT, threshold).dtype == torch.float64


def test_many_whole_numbers_do_not_overflow():
    assert objects.total(torch.full((1, 300), 100, dtype=torch.int8)).item() == 30_000


@pytest.mark.parametrize(("rank", "values"), [(1, [50, 40, 0]), (2, [30, 0, 0]), (3, [20, 0, 0])])
def test_leading(rank, values):
    assert objects.leading(PT, rank).tolist() == values


def test_transverse_sum():
    """50 - 20 along x and 30 along y; one object alone; none."""
    expected = torch.tensor([math.hypot(30, 30), 40, 0]).double()
    torch.testing.assert_close(objects.transverse_sum(PT, PHI), expected)


def test_azimuth_from_the_sum():
    """The sums are at π/4, -1 and, of none, 0: also across ±π, and never negative."""
    direction = torch.tensor([-3 * math.pi / 4, math.pi, 0.5]).double()
    found = objects.azimuth_from(PT, PHI, direction[:, None])
    torch.testing.assert_close(found, torch.tensor([math.pi, math.pi - 1, 0.5]).double())
    nearby = objects.azimuth_from(
        PT[:1], PHI[:1], torch.tensor([[math.pi / 4 + 2 * math.pi - 0.2]])
    )
    assert nearby.item() == pytest.approx(0.2, abs=1e-6)
