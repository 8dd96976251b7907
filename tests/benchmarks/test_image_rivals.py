"""Rivals of generators of showers, by hand."""

import math

import numpy as np
import pytest
import torch

from benchmarks.common.image_rivals import (
    RIVALS,
    Parameters,
    Radial,
    cells,
    library,
    near,
    parametrised,
    spots_of,
)
from mleg_ray.events import Events


def events(images: np.ndarray, energy: np.ndarray) -> Events:
    columns = {"image": torch.from_numpy(images).float(), "energy": torch.from_numpy(energy)}
    return Events(columns, {}, torch.ones(len(energy)).double())


def test_nearest_energies_are_drawn_evenly():
    """Of 0 to 99, mixed, those within five of 50.5; at the ends as many."""
    rng = np.random.default_rng(0)
    known = rng.permutation(100).astype(float)
    drawn = known[near(known, np.array([50.5, -7.0, 1e3]), 10, 5000, rng)]
    for row, first in zip(drawn, (46, 0, 90), strict=True):
        number, times = np.unique(row, return_counts=True)
        assert number.tolist() == list(range(first, first + 10))
        assert times.min() > 400


def test_all_equal_energies_are_as_near():
    rng = np.random.default_rng(0)
    known = np.repeat([1.0, 2.0, 3.0], 50)
    rows = near(known, np.array([2.0]), 10, 5000, rng)
    assert set(rows[0]) == set(range(50, 100))


def test_the_library_scales_and_turns():
    """One image of 1, 2 and 4 at energy 100, asked for at 200, in all of its eight positions."""
    image = np.array([[0.0, 1, 0], [0, 0, 2], [0, 0, 4]])
    train = events(np.tile(image, (20, 1, 1)), np.full(20, 100.0))
    made = library(train, np.full(400, 200.0), np.random.default_rng(0))
    expected = {(2 * np.rot90(side, k)).tobytes() for side in (image, image.T) for k in range(4)}
    found = [some.tobytes() for some in made.columns["image"].double().numpy()]
    assert set(found) == expected
    assert min(found.count(one) for one in expected) > 25
    assert made.columns["energy"].tolist() == 400 * [200.0]
    assert train.columns["image"][0].tolist() == image.tolist()


def test_cells_are_those_of_different_showers_of_like_energy():
    """Cells hold the number of their shower, whose energy it is."""
    number = np.arange(1000.0)
    train = events(np.tile(number[:, None, None, None], (1, 2, 3, 3)), number)
    made = cells(train, np.array([500.0, 30.0]), np.random.default_rng(0))
    image = made.columns["image"].flatten(1).numpy()
    assert made.columns["image"].shape == (2, 2, 3, 3)
    assert 450 <= image[0].min() < image[0].max() <= 550
    assert image[1].max() < 100
    assert len(set(image[0])) > 12


def test_radial_profile_by_hand():
    """r² / (r² + R²): a half at r = R of the core, 1/17 of the tail with four times the radius."""
    radial = Radial(core=1, tail=4, share=0.75)
    assert radial.within(np.array([0.0, 1.0])).tolist() == [0, 0.75 / 2 + 0.25 / 17]
    drawn = radial.draw(100_000, np.random.default_rng(0))
    for distance in (0.5, 1, 3, 10):
        expected = radial.within(np.array([distance]))[0]
        assert np.mean(drawn < distance) == pytest.approx(expected, abs=0.006)


def test_radial_profile_is_found_again():
    radial = Radial(core=2, tail=9, share=0.9)
    rng = np.random.default_rng(0)
    distance, angle = radial.draw(400_000, rng), rng.uniform(0, 2 * np.pi, 400_000)
    edges = np.arange(-60, 61)
    mean, *_ = np.histogram2d(distance * np.sin(angle), distance * np.cos(angle), (edges, edges))
    found = Radial.fitted(mean)
    places = np.array([1.0, 2.0, 4.0, 10.0])
    assert found.within(places) == pytest.approx(radial.within(places), abs=0.03)
    assert found.core == pytest.approx(2, rel=0.1)


def test_spots_light_as_many_cells():
    """4 (1 - exp(-ν / 4)) = 2."""
    assert spots_of(np.array([0.25, 0.25, 0.25, 0.25, 0.0]), 2.0) == pytest.approx(4 * math.log(2))


def showers(n: int, rng: np.random.Generator) -> Events:
    """A fifth of the energy in the first layer and a half in the second, 6 and 12 spots each."""
    energy = np.exp(rng.uniform(np.log(100), np.log(1000), n))
    radial = (Radial(1, 3, 0.8), Radial(2, 5, 0.8))
    truth = Parameters(
        np.log([0.2, 0.5]), 0.01 * np.eye(2), np.array([0.9, 1]), radial, np.array([6.0, 12])
    )
    return events(truth.draw(energy, (12, 12), rng), energy)


def test_what_was_drawn_of_parameters_is_fitted_again():
    rng = np.random.default_rng(0)
    train = showers(4000, rng)
    images = train.columns["image"].double().numpy()
    found = Parameters.fitted(images, train.columns["energy"].numpy())
    assert found.mean == pytest.approx(np.log([0.2, 0.5]), abs=0.01)
    assert found.covariance == pytest.approx(0.01 * np.eye(2), abs=0.002)
    assert found.lit == pytest.approx([0.9, 1], abs=0.02)
    again = found.draw(train.columns["energy"].numpy(), (12, 12), rng)
    for a, b in ((images, again), (images > 0, again > 0)):
        assert a.mean(axis=(0, 2, 3)) == pytest.approx(b.mean(axis=(0, 2, 3)), rel=0.06)


def test_parametrised_showers_have_their_energies():
    rng = np.random.default_rng(0)
    energy = np.array([150.0, 900.0]).repeat(300)
    made = parametrised(showers(3000, rng), energy, rng)
    assert made.columns["image"].shape == (600, 2, 12, 12)
    total = made.columns["image"].sum(dim=(1, 2, 3)).double().numpy() / energy
    assert total.max() <= 1 + 1e-6
    assert total[:300].mean() == pytest.approx(0.68, abs=0.02)
    assert total[300:].mean() == pytest.approx(0.68, abs=0.02)


def test_layers_that_are_never_lit_together_are_refused():
    images = np.zeros((100, 2, 3, 3))
    with pytest.raises(ValueError, match="0 showers light all layers, not 20"):
        Parameters.fitted(images, np.ones(100))


def test_images_without_layers_are_made_too():
    rng = np.random.default_rng(0)
    train = showers(2000, rng)
    flat = events(train.columns["image"].sum(dim=1).numpy(), train.columns["energy"].numpy())
    for rival in RIVALS.values():
        made = rival(flat, np.array([200.0, 300.0, 400.0]), rng)
        assert made.columns["image"].shape == (3, 12, 12)
        assert made.columns["image"].dtype == torch.float32
        assert (made.columns["image"].sum(dim=(1, 2)) > 0).all()
