"""What each method of unfolding makes of known electrons, by values of hand."""

import math
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.common.dis_figures import ALL_EDGES, Columns, Shares, electrons
from benchmarks.common.histogram_unfolding import Migration, bin_by_bin
from benchmarks.common.omnifold import Simulated
from benchmarks.paper import unfolding
from benchmarks.paper.unfolding import Known, by_histograms, by_omnifold, corrected, simulated
from tests.benchmarks.test_dis_figures import FORWARD, SIDEWAYS, events

# η = 1.2 and 0: tracked. At η = 4 the default spectrometer has no tracker, and beyond 4.5 nothing.
UNTRACKED = (1.0, 0.0, math.sinh(4.0))
ALONE = "nu1"  # in whose bins all of these electrons are apart, the last in none


def known(vertex: Columns, seen: list[float], measured: Columns | None = None) -> Known:
    """Know simulated electrons whose likes are seen so often, and three data like FORWARD."""
    found, share = vertex if measured is None else measured, np.array(seen)
    migrations = {
        name: Migration.of(vertex[name], found[name], share, edges)
        for name, edges in ALL_EDGES.items()
    }
    data = electrons(events(*[FORWARD] * 3, SIDEWAYS))
    return Known(data, found, vertex, share, migrations)


def filled(shares: Shares) -> list[float]:
    """Return the shares that are not zero, of ν1: of FORWARD, then of SIDEWAYS."""
    return [share for share in shares[ALONE] if share > 0]


def test_a_simulated_electron_is_worth_one_over_the_share_that_is_seen() -> None:
    """1,000 of each kind, of which half and all are seen: 2,000 and 1,000, so 2/3 and 1/3."""
    vertex = electrons(events(*[FORWARD] * 1000, *[SIDEWAYS] * 1000))
    of = known(vertex, [0.5] * 1000 + [1.0] * 1000)
    own = filled(simulated(of, np.ones(4), 1))
    # Its bootstrap: √(2/3 · 1/3 · 2/3 / 1000) or so.
    assert own == pytest.approx([2 / 3, 1 / 3], abs=0.05)
    assert own != filled(simulated(of, np.ones(4), 2))


def test_a_histogram_counts_what_lies_beyond_its_bins() -> None:
    """2 of 4 FORWARD are seen, 1 of 1 SIDEWAYS: 3 and 1 data become 6 and 1; all else is empty."""
    of = known(electrons(events(FORWARD, FORWARD, SIDEWAYS)), [0.5, 0.5, 1.0])
    unfold = by_histograms(bin_by_bin)
    assert filled(unfold(of, np.ones(4), 1)) == pytest.approx([6 / 7, 1 / 7])
    # As data of double weight are worth two: 3 and 2 become 6 and 2.
    assert filled(unfold(of, np.array([1.0, 1, 1, 2]), 1)) == pytest.approx([6 / 8, 2 / 8])

    def all_alike(migration: Migration, data: np.ndarray) -> np.ndarray:
        return np.ones(len(data))

    found = by_histograms(all_alike)(of, np.ones(4), 1)
    for name, edges in ALL_EDGES.items():
        assert found[name] == pytest.approx(np.full(len(edges) - 1, 1 / (len(edges) + 1)))


def test_omnifold_weights_what_is_at_the_vertex_by_what_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """FORWARD and SIDEWAYS, measured as each other, get the last weights, 1 and 3."""
    asked: list[tuple[Simulated, np.ndarray, np.ndarray, int]] = []

    def omnifold(
        simulated: Simulated, data: np.ndarray, weight: np.ndarray, *, iterations: int, seed: int
    ) -> Iterator[np.ndarray]:
        asked.append((simulated, data, weight, iterations))
        yield np.array([9.0, 1.0])
        yield np.array([1.0, 3.0])

    monkeypatch.setattr(unfolding, "omnifold", omnifold)
    vertex, measured = (electrons(events(*o)) for o in ((FORWARD, SIDEWAYS), (SIDEWAYS, FORWARD)))
    of, weight = known(vertex, [0.5, 1.0], measured), np.array([1.0, 2, 3, 4])
    # 1/0.5 and 3/1.
    assert filled(by_omnifold(of, weight, 1)) == pytest.approx([2 / 5, 3 / 5])
    [(simulation, data, given, iterations)] = asked
    # ν1 = ln(E' - pz), ν2 = ln(2E_e - E' - pz).
    pairs = [[math.log(2), math.log(33)], [math.log(25), math.log(30)]]
    assert simulation.vertex == pytest.approx(np.array(pairs))
    assert simulation.measured == pytest.approx(np.array(pairs[::-1]))
    assert simulation.weight.tolist() == [1, 1]
    assert data == pytest.approx(np.array([pairs[0]] * 3 + pairs[1:]))
    assert (given.tolist(), iterations) == (weight.tolist(), unfolding.ITERATIONS)


def test_what_a_generator_makes_is_worth_one_over_the_share_that_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of FORWARD and UNTRACKED 95% and 95% · 70% are seen: 0.7 : 1 of what there is."""
    made = events(FORWARD, UNTRACKED)
    p = torch.stack([made.columns[f"electron.{axis}"] for axis in ("px", "py", "pz")])
    made = made.replacing((), {"electron.energy": p.norm(dim=0)})
    monkeypatch.setattr(unfolding, "generated", lambda model, n, seed: made)
    source = {"detector": {"kind": "spectrometer"}}
    measured = SimpleNamespace(manifest=SimpleNamespace(provenance={"source": source}))
    assert unfolding.efficiency(measured, made) == pytest.approx([0.95, 0.95 * 0.7])
    # UNTRACKED is beyond the bins, and counts.
    assert filled(corrected(None, measured, 2, 1)) == pytest.approx([0.7 / 1.7])
