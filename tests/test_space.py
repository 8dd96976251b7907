"""The layout of flat vectors: parts, angles, and views that cost nothing."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mleg_ray.randomness import Noise
from mleg_ray.space import Part, Space, columns, replaced, wrapped

SPACE = Space(
    {
        "event": Part((2,), ("met", "phi"), circle=(1,)),
        "jet": Part((3, 2), ("jet.log_pt", "jet.phi"), circle=(1,)),
        "cells": Part((1, 2, 2), ("cells",)),
    }
)


def test_parts_stand_one_behind_the_other() -> None:
    assert SPACE.width == 2 + 6 + 4
    assert SPACE.where == {"event": slice(0, 2), "jet": slice(2, 8), "cells": slice(8, 12)}
    assert SPACE.circle == (1, 3, 5, 7)
    assert SPACE.line == (0, 2, 4, 6, 8, 9, 10, 11)
    assert str(SPACE) == "8 numbers and 4 angles"
    assert Space({}).width == 0


def test_split_hands_out_views() -> None:
    x = torch.arange(24.0).reshape(2, 12)
    split = SPACE.split(x)
    assert split["jet"][1].tolist() == [[14, 15], [16, 17], [18, 19]]
    assert split["cells"].shape == (2, 1, 2, 2)
    split["jet"][0, 0, 0] = -1
    assert x[0, 2] == -1  # the same memory


def test_some_parts_make_a_space_of_their_own() -> None:
    alone = SPACE.of(["cells", "event"])
    assert (alone.width, alone.circle) == (6, (5,))


def test_spaces_are_alike_by_lines_and_circles_alone() -> None:
    assert Space.numbers(2, 1).alike(Space({"a": Part((3,), circle=(2,))}))
    assert not Space.numbers(2, 1).alike(Space({"a": Part((3,), circle=(0,))}))
    assert not Space.numbers(3).alike(Space.numbers(4))


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_lines_and_circles_divide_and_join_again(circles: list[bool]) -> None:
    circle = tuple(i for i, is_angle in enumerate(circles) if is_angle)
    space = Space({"event": Part((len(circles),), circle=circle)})
    x = torch.arange(2.0 * len(circles)).reshape(2, -1)
    line, angles = space.divide(x)
    assert (line.shape[1], angles.shape[1]) == (circles.count(False), circles.count(True))
    assert torch.equal(space.join(line, angles), x)


@pytest.mark.parametrize("drawn", ["generator", "noise"])
def test_noise_is_normal_on_the_line_and_uniform_on_the_circle(drawn: str) -> None:
    n = 40_000
    if drawn == "generator":
        z = SPACE.draw(n, torch.Generator().manual_seed(1))
    else:
        z = SPACE.draw_from(Noise(torch.device("cpu")), n)
    line, circle = SPACE.divide(z)
    assert line.mean(dim=0).abs().max() < 5 / math.sqrt(n)
    assert line.var(dim=0).tolist() == pytest.approx([1.0] * 8, abs=5 * math.sqrt(2 / n))
    assert circle.abs().max() <= 1
    assert circle.mean(dim=0).abs().max() < 5 / math.sqrt(3 * n)
    assert circle.square().mean(dim=0).tolist() == pytest.approx([1 / 3] * 4, abs=0.01)


def test_an_angle_is_seen_without_a_seam() -> None:
    space = Space.numbers(1, 1)
    seen = space.seamless(torch.tensor([[7.0, 0.5], [8.0, 1.0], [9.0, -1.0]]), (1, 2))
    expected = [[7, 0, 1, -1, 0], [8, -1, 0, 1, 0], [9, -1, 0, 1, 0]]
    assert space.seamless_width((1, 2)) == 5
    for row, values in zip(seen.tolist(), expected, strict=True):
        assert row == pytest.approx(values, abs=1e-6)


def test_what_was_seen_comes_back() -> None:
    x = torch.cat([torch.randn(50, 2), 2 * torch.rand(50, 1) - 1], dim=1)
    space = Space.numbers(2, 1)
    torch.testing.assert_close(space.unseamed(space.seamless(x)), x, atol=1e-5, rtol=0)
    assert Space.numbers(3).seamless(x).data_ptr() == x.data_ptr()


def test_neighbouring_columns_are_a_view() -> None:
    x = torch.arange(8.0).reshape(2, 4)
    assert columns(x, (1, 2)).data_ptr() == x[:, 1].data_ptr()
    assert columns(x, (3, 1)).tolist() == [[3, 1], [7, 5]]
    assert columns(x, ()).shape == (2, 0)


def test_angles_wrap_into_one_turn() -> None:
    assert wrapped(torch.tensor([1.0, 1.5, -1.5, 3.25])).tolist() == [-1, -0.5, 0.5, -0.75]


def test_columns_are_replaced_in_a_copy_of_the_same_type() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    made = replaced(x, {2: torch.tensor([7.0, 8.0]).double(), 0: torch.tensor([9.0, 0.0])})
    assert torch.equal(made, torch.tensor([[9.0, 2.0, 7.0], [0.0, 5.0, 8.0]]))
    assert x[0, 0] == 1
