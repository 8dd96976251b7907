"""Figures of pairs of measured and true numbers by values of hand."""

import math

import pytest
import torch

from benchmarks.common.options import PAPER
from benchmarks.paper.folding import pairs
from mleg_ray.config import named_folders
from mleg_ray.events import Events
from mleg_ray.run import RunConfig


def pair(x: list[float], v: list[float]) -> Events:
    """Return events of measured x and true v."""
    columns = {"particle.x": torch.tensor(x).double(), "vertex.x": torch.tensor(v).double()}
    return Events(columns, {}, torch.ones(len(x)).double())


def test_a_mirror_is_told_from_a_measurement() -> None:
    """x = -v has the spectrum of x = v ± 0.1 nearly: pairs alone tell them apart.

    v = -1, 0, 1, of variance 1. Of the mirror x - v = 2, 0, -2: a standard deviation of 2 and a
    correlation of -1. Of the truth x - v = 0.1, -0.2, 0.1 with a mean of zero: √(0.06/2), and the
    correlation Σ x v / √(Σ x² Σ v²) = (0.9 + 1.1)/√((0.81 + 0.04 + 1.21) 2).
    """
    v = [-1.0, 0.0, 1.0]
    row = pairs(pair([1, 0, -1], v), pair([-0.9, -0.2, 1.1], v), {"vertex.x": "particle.x"})
    assert row["spread, particle.x"] == pytest.approx([2, math.sqrt(0.03)])
    assert row["correlation, particle.x"] == pytest.approx([-1, 2 / math.sqrt(2.06 * 2)])


def test_every_recipe_of_the_dissertation_stands_for_a_small_one() -> None:
    papers = {path.stem for path in named_folders("tuning")[0].glob("*-paper.toml")}
    # Collisions of protons, toys and detectors, of other papers.
    others = ("zmumu", "dimuons", "ttbar", "stop", "toy-", "electron-pt-smearing", "showers")
    own = {name for name in papers if not RunConfig.load(name).dataset.startswith(others)}
    assert set(PAPER.values()) == own
