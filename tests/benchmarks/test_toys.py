"""The figures of toys: those of the toys themselves, of doing nothing, and of what is known."""

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.common import exact_jets
from benchmarks.physics import toys
from mleg_ray.events import Events
from mleg_ray.physics.toy_images import IMAGE, LAYERS

N, IMAGES = 20_000, 2_000


def test_distance_by_hand() -> None:
    def uniform(x: np.ndarray) -> np.ndarray:
        return x

    # F rises to 3/4 at 0.2, which is 0.55 too much, and stays; just below 0.9 it lacks 0.15.
    values, weights = np.array([0.9, 0.2]), np.array([1.0, 3.0])
    assert toys.distance(values, weights, uniform) == pytest.approx(0.55)
    # F is 0 up to 0.6, where it lacks 0.6.
    values, weights = np.array([0.9, 0.6]), np.array([1.0, 1.0])
    assert toys.distance(values, weights, uniform) == pytest.approx(0.6)


def test_jets_of_the_toy_are_right_and_doing_nothing_is_not() -> None:
    events = toys.jets_for(N, np.random.default_rng(1))
    floor, nothing = (toys.of_jets(events[of]) for of in ("floor", "doing nothing"))
    assert all(abs(figure) < 0.03 for figure in floor.values())
    assert floor["pt"] < 0.012  # half of what weights change
    drawn = exact_jets.number_table(weighted=False)
    counts = np.abs(drawn - exact_jets.number_table()).sum() / 2
    assert nothing["counts"] == pytest.approx(counts, abs=0.01)
    # 22.5057% of jets are of flavour 1 as they are drawn, 23.1056% as weights count.
    assert nothing["heavy"] == pytest.approx(-0.006, abs=0.005)
    assert nothing["correlation"] == pytest.approx(-0.661056, abs=0.03)
    assert nothing["eta"] < 0.01
    # 37.193% and 34.862% of all jets are below 50 GeV.
    assert nothing["pt"] == pytest.approx(0.0233, abs=0.008)


@pytest.mark.parametrize("blob", [IMAGE, LAYERS])
def test_images_of_the_toy_are_right_and_doing_nothing_is_not(blob: Any) -> None:
    events = toys.images_for(IMAGES, np.random.default_rng(1), blob)
    floor, nothing = (toys.of_images(events[of], blob) for of in ("floor", "doing nothing"))
    assert all(abs(figure) < 0.1 for figure in floor.values())
    assert nothing["total, spread"] > 3
    assert nothing["row, spread"] > 3
    image = events["floor"].columns["image"]
    moved = Events(
        {**events["floor"].columns, "image": torch.roll(image, 1, -1)}, {}, torch.ones(IMAGES)
    )
    shifted = toys.of_images(moved, blob)
    # A column further: by one cell, in units of a spread of about 2 or 0.82 cells.
    assert shifted["column"] == pytest.approx(1 / (2.0 if blob is IMAGE else 0.82), abs=0.06)
    assert shifted["row"] == pytest.approx(floor["row"], abs=1e-6)
    doubled = Events({**events["floor"].columns, "image": 2 * image}, {}, torch.ones(IMAGES))
    assert toys.of_images(doubled, blob)["total"] > 3
    assert toys.of_images(doubled, blob)["row"] == pytest.approx(floor["row"], abs=1e-6)


def test_layers_of_the_toy() -> None:
    events = toys.images_for(IMAGES, np.random.default_rng(1), LAYERS)
    assert toys.of_images(events["doing nothing"], LAYERS)["second layer, spread"] > 3
    columns = events["floor"].columns
    swapped = Events({**columns, "image": columns["image"].flip(1)}, {}, torch.ones(IMAGES))
    assert toys.of_images(swapped, LAYERS)["second layer"] > 1
