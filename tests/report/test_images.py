"""Pictures of images and of profiles."""

import numpy as np
import torch

from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.samples.images import Images
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.report.html import draw, render
from mleg_ray.report.images import image_pngs, nearest
from mleg_ray.report.profiles import profile_pngs
from tests.evaluation.conftest import with_images

PNG = b"\x89PNG"
PANELS = {"mean-truth", "mean-generated", "mean-difference", "rows", "gallery", "spectrum"}


def test_images_are_drawn_also_with_negative_weights():
    pictures = image_pngs("image", with_images(300, 1), with_images(200, 2, weighted=True))
    assert set(pictures) == PANELS
    assert all(picture.startswith(PNG) for picture in pictures.values())


def test_images_without_energy_have_no_pictures():
    empty = with_images(200, 2, image=np.zeros((200, 6, 6)))
    assert image_pngs("image", with_images(300, 1), empty) == {}
    broken = with_images(200, 2, image=np.full((200, 6, 6), np.nan))
    assert image_pngs("image", with_images(300, 1), broken) == {}


def test_images_below_the_threshold_have_no_spectrum():
    truth = with_images(300, 1)
    dim = with_images(300, 1, image=truth.images["image"].dense * 1e-9)
    assert set(image_pngs("image", dim, truth)) == PANELS - {"spectrum"}


def test_nearest_images_are_those_of_the_smallest_distance():
    rng = np.random.default_rng(0)
    truth, made = (rng.normal(size=(n, 3, 4)) * (rng.random((n, 3, 4)) < 0.5) for n in (20, 30))
    rows = np.array([3, 11])
    images, among = (Images.of(torch.from_numpy(some)) for some in (truth, made))
    away = np.linalg.norm((truth[rows, None] - made[None]).reshape(2, 30, -1), axis=2)
    assert nearest(images, rows, among).tolist() == away.argmin(axis=1).tolist()
    own = np.linalg.norm((truth[rows, None] - truth[None]).reshape(2, 20, -1), axis=2)
    own[[0, 1], rows] = np.inf
    assert nearest(images, rows, images, but=rows).tolist() == own.argmin(axis=1).tolist()
    assert nearest(images, rows, images).tolist() == rows.tolist()


def test_the_page_shows_images_and_profiles():
    truth, generated = with_images(400, 1), with_images(200, 2, shift=0.3)
    names = ("cell_spectrum", "profile_chi2", "resolution")
    card = scorecard(truth, generated, metrics={name: METRICS[name] for name in names})
    profiles = profile_pngs(card)
    response = "profile-response-energy"
    assert {response, f"{response}-resolution", "profile-total-energy"} <= set(profiles)
    assert all(picture.startswith(PNG) for picture in profiles.values())
    pictures = draw(truth, generated)
    assert {f"image-image-{panel}" for panel in PANELS} <= set(pictures)
    page = render(card, pictures | profiles)
    assert "Cells of image" in page
    assert "Over the conditions" in page
    assert 'alt="true events and the nearest others"' in page
    without = render(card, {})
    assert "Cells of image" not in without
    assert "Over the conditions" not in without
