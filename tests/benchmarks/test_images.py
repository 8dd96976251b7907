"""Figures of shower images, by value."""

import math

import numpy as np
import pytest
import torch

from benchmarks.paper.images import SYSTEMS, Showers, compared, flat
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.events import Events
from mleg_ray.run import RunConfig


def showers(mean: list[list[float]], total: list[float], occupancy: list[float]) -> Showers:
    columns = {"total": np.array(total), "occupancy": np.array(occupancy)}
    return Showers(np.array(mean), 0.0, from_arrays(columns), [])


def test_layers_are_added_up() -> None:
    image = torch.arange(8.0).view(1, 2, 2, 2)
    events = Events({"image": image}, {}, torch.ones(1).double())
    assert flat(events).tolist() == [[[4, 6], [8, 10]]]


def test_figures_by_hand() -> None:
    """Shares of 1/2 and 1/2, of 1/4 and 3/4 and of the same; ε moves them by 1e-5."""
    truth = showers([[0, 2], [2, 0]], [3, 5], [0.1, 0.3])
    made = showers([[0, 1], [3, 0]], [2, 6], [0.2, 0.2])
    same = showers([[0, 4], [4, 0]], [2, 6], [0.2, 0.2])
    found = compared(truth, [made, same])
    kl = (math.log(0.5 / 0.25) + math.log(0.5 / 0.75)) / 2
    assert found["KL"] == pytest.approx(kl / 2, abs=1e-4)
    assert found["difference, %"] == pytest.approx(50)
    assert found["rows, cells"] == [0, 0]
    assert found["deposit, MeV"] == [4, 4]
    assert found["deviation, MeV"] == [2, 1]
    assert found["lit, %"] == pytest.approx([20, 20])


def test_rows_are_weighted_with_the_truths_energy() -> None:
    """The upper row's mean moves by a cell and has 3/4 of the energy: √(3/4)."""
    truth = showers([[3, 0], [1, 0]], [4], [0])
    made = showers([[0, 1], [1, 0]], [2], [0])
    assert compared(truth, [made])["rows, cells"] == pytest.approx([0.75**0.5, 0])


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_systems_are_recipes_with_and_without_the_dissertations_values(system: object) -> None:
    for recipe in (system.recipe, f"{system.recipe}-paper"):
        run = RunConfig.load(recipe, system.assigned)
        assert run.dataset.startswith("showers-")
