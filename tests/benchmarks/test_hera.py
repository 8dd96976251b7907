"""Published points of HERA: that they are whole, and cross sections about them by hand."""

import math

import numpy as np
import pytest

from benchmarks.physics.hera import Points, about, published


def test_the_table_is_consistent() -> None:
    points = published()
    assert len(points.q2) == 386
    # y = Q² / (s x) at √s = 318.1 GeV
    assert points.y == pytest.approx(points.q2 / (318.12**2 * points.x), rel=1e-3)
    assert (points.sigma > 0).all()
    assert (points.error < 0.3 * points.sigma).all()
    [at] = np.flatnonzero((points.q2 == 15) & (points.x == 3.2e-4))
    assert points.sigma[at] == 1.3127
    assert points.error[at] == pytest.approx(1.3127 * math.hypot(0.0084519, 0.0070292))


def test_cross_sections_are_sums_of_factors_near_a_point_over_its_area() -> None:
    ten = np.array([10.0])
    points = Points(ten, np.array([0.01]), ten, ten, ten)
    q2, x = np.array([10.0, 10.9, 11.2, 9.5, 10.0]), np.array([0.01, 0.009, 0.01, 0.02, 0.008])
    sums, counts = about(points, q2, x, np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    area = 10 * (1.1 - 1 / 1.1) * 0.01 * (1.15 - 1 / 1.15)  # all but two lie outside
    assert counts.tolist() == [2]
    assert sums == pytest.approx([3 / area])
