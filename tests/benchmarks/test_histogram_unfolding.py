"""Unfolding of histograms by values of hand, and of a smeared spectrum."""

import numpy as np
import pytest

from benchmarks.common.histogram_unfolding import Migration, bin_by_bin, counted, dagostini

EDGES = np.array([0.0, 1.0, 2.0])  # with what lies below and above, four bins


def test_pairs_are_counted_and_the_unseen_with_them() -> None:
    true, measured = np.array([0.5, 0.5, 1.5, -1.0]), np.array([0.2, 1.2, 1.7, 3.0])
    migration = Migration.of(true, measured, np.array([0.5, 0.5, 1.0, 0.25]), EDGES)
    assert migration.true.tolist() == [4, 4, 1, 0]
    expected = np.zeros((4, 4))
    expected[1, 1] = expected[2, 1] = expected[2, 2] = expected[3, 0] = 1
    assert migration.pairs.tolist() == expected.tolist()
    assert counted(measured, np.array([1.0, 2, 3, 4]), EDGES).tolist() == [0, 1, 5, 4]


def test_one_step_of_each_by_hand() -> None:
    # Of 10 true in the first bin 6 stay and 2 move, 2 are lost; of 10 in the second all stay.
    migration = Migration(np.array([[6.0, 0.0], [2.0, 10.0]]), np.array([10.0, 10.0]))
    data = np.array([12.0, 18.0])
    # 12 x 10/6, 18 x 10/12
    assert bin_by_bin(migration, data) == pytest.approx([20.0, 15.0])
    # From p = 10 x 30/18 in each: expected 10 and 20, ratios 1.2 and 0.9; ε = 0.8 and 1.
    start = 10 * 30 / 18
    first = start / 0.8 * (0.6 * 1.2 + 0.2 * 0.9)
    second = start * 0.9
    assert dagostini(migration, data, iterations=1) == pytest.approx([first, second])
    # The answer that gives these data: 0.6 p = 12 and 0.2 p + q = 18.
    assert dagostini(migration, data, iterations=200) == pytest.approx([20.0, 14.0])


def test_a_simulation_of_the_same_spectrum_leaves_it_alone() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(1, 1, 50_000)
    measured = true + rng.normal(0, 0.5, len(true))
    migration = Migration.of(true, measured, np.ones(len(true)), EDGES)
    data = counted(measured, np.ones(len(true)), EDGES)
    for found in (bin_by_bin(migration, data), dagostini(migration, data, iterations=4)):
        assert found == pytest.approx(counted(true, np.ones(len(true)), EDGES))


def test_another_spectrum_comes_back_by_iteration_better_than_bin_by_bin() -> None:
    rng = np.random.default_rng(2)
    edges = np.linspace(-2, 2, 9)
    simulated, true = rng.normal(0, 1, 200_000), rng.normal(0.4, 0.8, 200_000)
    ones = np.ones(len(true))
    smear = rng.normal(0, 0.5, (2, len(true)))
    migration = Migration.of(simulated, simulated + smear[0], ones, edges)
    measured = counted(true + smear[1], ones, edges)
    wanted = counted(true, ones, edges)

    def off(found: np.ndarray) -> float:
        return float(np.abs(found - wanted).sum() / wanted.sum())

    nothing, corrected = off(measured), off(bin_by_bin(migration, measured))
    iterated = off(dagostini(migration, measured, iterations=8))
    assert iterated < 0.5 * corrected < 0.5 * nothing * 1.2
