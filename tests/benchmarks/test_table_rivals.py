"""Rivals of a table's generator, by closed forms."""

import time

import numpy as np
import pytest
from scipy import stats

from benchmarks.common.table_rivals import LIBRARY, RIVALS, gaussian_copula

N = 20_000


def test_the_copula_has_the_rank_correlation_of_a_normal_one():
    """Spearman's ρ_s = 6/π arcsin(ρ/2), whatever the columns' own distributions."""
    rng = np.random.default_rng(2)
    z = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], N)
    made = gaussian_copula({"x": np.exp(z[:, 0]), "y": z[:, 1] ** 3}, 0.0, 1)(N)
    found = stats.spearmanr(made["x"], made["y"]).statistic
    assert found == pytest.approx(6 / np.pi * np.arcsin(0.4), abs=0.012)


def test_the_copula_keeps_the_values_and_how_often_they_occur():
    """Equal numbers are in random order: a constant is independent of what its rows hold."""
    x = np.repeat([-999.0, 0.5, 0.75, 2.0], [N // 2, N // 4, N // 8, N // 8])
    table = {"x": x, "same": np.ones(N, "int8"), "row": np.arange(N, dtype=float)}
    made = gaussian_copula(table, 0.0, 1)(4 * N)
    values, times = np.unique(made["x"], return_counts=True)
    assert values.tolist() == [-999.0, 0.5, 0.75, 2.0]
    assert times / (4 * N) == pytest.approx([1 / 2, 1 / 4, 1 / 8, 1 / 8], abs=0.01)
    assert made["same"].dtype == np.int8
    assert (made["same"] == 1).all()
    assert set(made["row"]) <= set(range(N))
    # Within one value of x the rows are in any order: all of them occur.
    half = made["row"][made["x"] == -999.0]
    assert half.min() < N / 20
    assert stats.pearsonr(made["x"], made["row"]).statistic > 0.5


def test_equal_numbers_have_no_order():
    """A bit that alternates tells nothing of a number that grows from row to row."""
    rows = np.arange(N)
    made = gaussian_copula({"bit": rows % 2.0, "row": rows.astype(float)}, 0.0, 1)(N)
    assert abs(stats.pearsonr(made["bit"], made["row"]).statistic) < 0.03  # four deviations


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["CTGAN", "TVAE"])
def test_rivals_of_the_library_end_with_their_time(kind: str):
    pytest.importorskip(LIBRARY, reason="CTGAN and TVAE need `pip install ctgan`")
    rng = np.random.default_rng(3)
    table = {"x": rng.normal(size=1000), "q": rng.choice([-1, 1], 1000).astype("int8")}
    start = time.monotonic()
    made = RIVALS[kind](table, 1.0, 1)(100)
    assert time.monotonic() - start < 60  # of 10⁶ epochs
    assert {name: x.dtype for name, x in made.items()} == {"x": float, "q": np.int8}
    assert set(made["q"]) <= {-1, 1}
