"""Steps of whole images, by hand: shares of the sum, and the symmetries of the square."""

from math import log

import pytest
import torch
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps import STEPS, Layout, Quantity, Step
from mleg_ray.randomness import Noise


def step(kind: str, *shape: int, **settings: float) -> Step:
    layout = Layout({"image": Quantity(shape)}, {})
    return STEPS.parse({"kind": kind, "field": "image", **settings}).build(layout)


def events(*images: list[list[float]]) -> Events:
    return Events({"image": torch.tensor(images).double()}, {}, torch.ones(len(images)).double())


class TestShares:
    def test_total_and_shares(self) -> None:
        made = step("shares", 2, 2).encode(events([[1, 0], [3, 4]]).columns)
        assert made["total_image"].tolist() == [8.0]
        assert made["share_image"].tolist() == [[[1 / 8, 0], [3 / 8, 1 / 2]]]

    def test_what_is_not_above_the_threshold_is_empty_on_both_ways(self) -> None:
        own = step("shares", 2, 2, threshold=1.0)
        made = own.encode(events([[1, 0], [3, 4]]).columns)
        assert made["total_image"].tolist() == [7.0]
        share = torch.tensor([[[0.1, 0.2], [0.3, 0.4]]])
        back = own.decode({"total_image": torch.tensor([5.0]), "share_image": share})
        torch.testing.assert_close(back["image"], torch.tensor([[[0.0, 0.0], [1.5, 2.0]]]))

    def test_the_jacobian_is_that_of_all_hits_but_one(self) -> None:
        # Two hits a, b: total a + b and share a / (a + b) have the determinant 1 / (a + b).
        own = step("shares", 2, 2)
        found = own.log_abs_det(events([[3, 0], [5, 0]], [[2, 1], [5, 0]], [[0, 0], [0, 7]]))
        assert found.tolist() == pytest.approx([-log(8), -2 * log(8), 0])

    def test_images_without_hits_or_with_less_than_nothing_are_outside(self) -> None:
        own = step("shares", 2, 2, threshold=1.0)
        some = events([[1, 0], [0, 1]], [[2, -1], [0, 0]], [[0, 0], [0, 2]])
        assert own.outside(some).tolist() == [True, True, False]

    def test_they_are_told_to_be_shares_and_numbers_are_refused(self) -> None:
        assert step("shares", 2, 2).writes["share_image"].shares
        with pytest.raises(ConfigError, match="no image"):
            step("shares")


def moved(image: Tensor) -> list[Tensor]:
    """Return the eight images that reflections and quarter turns make of one (B, n, n)."""
    turned = [image, image.rot90(1, (1, 2)), image.rot90(2, (1, 2)), image.rot90(3, (1, 2))]
    return [other for one in turned for other in (one, one.transpose(1, 2))]


class TestSymmetricSquare:
    IMAGE = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 1.0]]]).double()

    def test_all_eight_become_one_with_the_barycentre_in_an_octant(self) -> None:
        own = step("symmetric-square", 3, 3)
        sides = set()
        for image in moved(self.IMAGE):
            made = own.encode({"image": image})
            torch.testing.assert_close(made["folded_image"], self.IMAGE)
            sides.add(made["side_image"].item())
            torch.testing.assert_close(own.decode(made)["image"], image)
        assert sorted(sides) == [(k + 0.5) / 4 - 1 for k in range(8)]

    def test_sides_by_hand(self) -> None:
        # The energy is below the middle, and left of it, in the second; the third's is steep.
        own = step("symmetric-square", 2, 2)
        some = events([[0, 1], [0, 3]], [[3, 0], [0, 0]], [[0, 0], [1, 3]])
        found = own.encode(some.columns)
        assert found["folded_image"].tolist()[1] == [[0, 0], [0, 3]]
        assert found["side_image"].tolist() == [0.5 / 4 - 1, 3.5 / 4 - 1, 4.5 / 4 - 1]

    def test_any_number_on_the_circle_is_a_side(self) -> None:
        own = step("symmetric-square", 3, 3)
        side = torch.tensor([-1.0, -0.76, 0.99, 1.0]).double()
        images = self.IMAGE.expand(4, 3, 3)
        made = own.decode({"folded_image": images, "side_image": side})["image"]
        assert torch.equal(made[0], made[1])
        assert torch.equal(made[0], made[3])
        assert not torch.equal(made[0], made[2])

    def test_a_side_is_a_quarter_of_a_half_turn(self) -> None:
        own = step("symmetric-square", 3, 3)
        some = Events({"image": self.IMAGE}, {}, torch.ones(1).double())
        assert own.log_abs_det(some).tolist() == pytest.approx([log(1 / 4)])

    def test_noise_spreads_a_side(self) -> None:
        noise = Noise(torch.device("cpu"))
        noise.seed(1)
        some = Events({"image": self.IMAGE.expand(500, 3, 3)}, {}, torch.ones(500).double())
        side = step("symmetric-square", 3, 3)(some, noise=noise).columns["side_image"]
        assert -1 <= side.min() < -0.99
        assert -0.76 < side.max() < -0.75

    def test_images_that_are_not_square_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="as many rows as columns"):
            step("symmetric-square", 2, 3)
